//! Randomness as a function: the number at any place of any stream, without the numbers before it.
//! Owns hashing and the price walk; knows nothing of markets. Only operations that IEEE 754 defines
//! exactly are used, so the same seed gives the same bits on every machine.

/// An endless sequence of random 64-bit numbers that can be read at any index.
#[derive(Clone, Copy, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The stream called `name` of `seed`. Streams of different names are independent.
    pub const fn new(seed: u64, name: u64) -> Self {
        Self(mix(seed ^ mix(name.wrapping_mul(GOLDEN))))
    }

    /// The number at `index`.
    pub const fn at(self, index: u64) -> u64 {
        mix(self.0.wrapping_add(index.wrapping_mul(GOLDEN)))
    }

    /// The number at `index` as a fraction in [0, 1).
    pub fn fraction(self, index: u64) -> f64 {
        fraction(self.at(index))
    }

    /// The number at `index` as an integer in [0, bound); 0 if `bound` is 0.
    pub fn below(self, index: u64, bound: u64) -> u64 {
        scale(self.at(index), bound)
    }
}

/// 2^64 divided by the golden ratio: consecutive multiples are spread evenly (Knuth; SplitMix64).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser (Steele, Lea, Flood).
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The upper 53 bits as a fraction in [0, 1).
pub fn fraction(bits: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    (bits >> 11) as f64 * UNIT
}

/// Uniform bits as an integer in [0, bound) (Lemire's multiplication).
pub fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// Octaves of the walk: periods of 131 ms, each the next four times as long, up to 38 hours.
const OCTAVES: u32 = 10;
/// The shortest period is 2^17 µs: a walk bends several times a second.
const SHORTEST_PERIOD_BITS: u32 = 17;
/// Makes the variance over a lag of one period that of a Brownian motion; follows from the sum over
/// the octaves.
const BROWNIAN: f64 = 0.95;

/// A random walk over time that can be read at any time.
///
/// It is value noise summed over octaves whose amplitudes grow with the square root of their
/// periods, so that over lags between a second and a day the variance grows with the lag as that of
/// a Brownian motion does.
#[derive(Clone, Debug)]
pub struct Walk {
    octaves: Vec<(Stream, u64, f64)>,
}

impl Walk {
    /// The walk called `name` of `seed` with a standard deviation of `sigma` over one second.
    pub fn new(seed: u64, name: u64, sigma: f64) -> Self {
        let octave = |octave: u32| {
            let stream = Stream::new(seed, name.wrapping_mul(64).wrapping_add(u64::from(octave)));
            let period_bits = SHORTEST_PERIOD_BITS + 2 * octave;
            let period_s = (1_u64 << period_bits) as f64 / 1e6;
            // A phase of its own per octave, or all knots of all walks would fall on the same
            // instants.
            let phase = stream.at(u64::MAX) & ((1 << period_bits) - 1);
            (stream, phase, BROWNIAN * sigma * period_s.sqrt())
        };
        Self {
            octaves: (0..=OCTAVES).map(octave).collect(),
        }
    }

    /// Its value at `time_us`, microseconds since the Unix epoch.
    pub fn at(&self, time_us: i64) -> f64 {
        let mut sum = 0.0;
        let mut period_bits = SHORTEST_PERIOD_BITS;
        for (stream, phase, amplitude) in &self.octaves {
            let place = time_us.wrapping_add(*phase as i64);
            let knot = (place >> period_bits) as u64;
            let mask = (1_i64 << period_bits) - 1;
            let along = (place & mask) as f64 / (1_u64 << period_bits) as f64;
            let left = stream.fraction(knot);
            let right = stream.fraction(knot.wrapping_add(1));
            sum += amplitude * 2.0 * (left + (right - left) * along - 0.5);
            period_bits += 2;
        }
        sum
    }
}

#[cfg(test)]
mod tests;
