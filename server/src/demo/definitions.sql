CREATE SOURCE trades (
  symbol TEXT NOT NULL,
  price  DOUBLE PRECISION NOT NULL,
  size   BIGINT NOT NULL,
  side   TEXT,
  venue  TEXT,
  id     BIGINT,
  ts     TIMESTAMP(6) WITH TIME ZONE NOT NULL,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = 'trades', 'properties.bootstrap.servers' = '{brokers}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);

CREATE SOURCE quotes (
  symbol   TEXT NOT NULL,
  bid      DOUBLE PRECISION NOT NULL,
  ask      DOUBLE PRECISION NOT NULL,
  bid_size BIGINT,
  ask_size BIGINT,
  venue    TEXT,
  ts       TIMESTAMP(6) WITH TIME ZONE NOT NULL,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = 'quotes', 'properties.bootstrap.servers' = '{brokers}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);

-- One-second candles with the volume-weighted average price; the open candle moves.
CREATE STREAMING VIEW ohlc_1s AS
SELECT window_start, window_end, symbol,
       first_value(price ORDER BY ts) AS open, max(price) AS high, min(price) AS low,
       last_value(price ORDER BY ts) AS close, sum(size) AS volume,
       vwap(price, size) AS vwap, count(*) AS trades
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, symbol
EMIT CHANGES;

-- The market as it stands: best quote, spread in basis points, mid.
CREATE STREAMING VIEW spreads AS
SELECT symbol, last_value(bid ORDER BY ts) AS bid, last_value(ask ORDER BY ts) AS ask,
       last_value((bid + ask) / 2 ORDER BY ts) AS mid,
       last_value((ask - bid) / ((bid + ask) / 2) * 10000 ORDER BY ts) AS spread_bps,
       count(*) AS quotes
FROM quotes
GROUP BY symbol
EMIT CHANGES;

-- How far each symbol has moved since the first trade seen.
CREATE STREAMING VIEW top_movers AS
SELECT symbol, first_value(price ORDER BY ts) AS first_price, last_value(price ORDER BY ts) AS last_price,
       (last_value(price ORDER BY ts) / first_value(price ORDER BY ts) - 1) * 100 AS move_pct,
       sum(size) AS volume
FROM trades
GROUP BY symbol
EMIT CHANGES;

-- Realised volatility by minute, from the trades' prices.
CREATE STREAMING VIEW volatility AS
SELECT window_start, symbol, realized_vol(price, ts) AS realized_vol, stddev(price) AS price_stddev, count(*) AS trades
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, symbol
EMIT CHANGES;
