"""Writes udfs/calendars/*.txt: the sessions of exchanges, as data, from PyPI's exchange_calendars.

usage: python scripts/calendars.py        (needs `pip install exchange_calendars`)

Each file has its time zone, the range that it covers, the regular hours from a day on, the weekdays
without a session, and the sessions with hours of their own. `eve` stands before an hour of the day
before. udfs/src/scalar/calendar.rs reads it.
"""

import collections
import pathlib

import exchange_calendars
import pandas

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "udfs" / "calendars"
NAMES = ["XNYS", "XTSE", "XLON", "XETR", "XPAR", "XAMS", "XSWX", "XTKS", "XHKG", "XASX", "CMES"]
FIRST, LAST = "2000-01-01", "2030-12-31"


def calendar(name):
    for last in [LAST, "2028-12-31", "2027-12-31", None]:
        try:
            return exchange_calendars.get_calendar(name, start=FIRST, end=last)
        except ValueError:
            continue
    raise SystemExit(f"no calendar {name}")


def hours(day, row, zone):
    def local(instant):
        at = instant.tz_convert(zone)
        eve = (day - pandas.Timestamp(at.date())).days
        return f"{'eve' if eve == 1 else ''}{at:%H:%M}"

    breaks = row["break_start"], row["break_end"]
    if pandas.isna(breaks[0]):
        return f"{local(row['open'])}-{local(row['close'])}"
    return f"{local(row['open'])}-{local(breaks[0])} {local(breaks[1])}-{local(row['close'])}"


def write(name):
    found = calendar(name)
    zone = str(found.tz)
    first, last = found.first_session, found.last_session
    sessions = {day: hours(day, row, zone) for day, row in found.schedule.iterrows()}
    lines = [f"zone {zone}", f"from {first:%Y-%m-%d}", f"to {last:%Y-%m-%d}"]
    # The usual hours of a year are the most frequent ones; they change in the middle of some.
    usual, regular = {}, None
    for month, days in sorted(by_month(sessions).items()):
        frequent = collections.Counter(sessions[day] for day in days).most_common(1)[0][0]
        usual[month] = frequent
        if frequent != regular:
            regular = frequent
            lines.append(f"hours {min(days):%Y-%m-%d} {frequent}")
    weekdays = pandas.date_range(first, last, freq="B")
    closed = [day for day in weekdays if day not in sessions]
    for year in sorted({day.year for day in closed}):
        days = " ".join(f"{day:%m-%d}" for day in closed if day.year == year)
        lines.append(f"closed {year} {days}")
    for day, found_hours in sessions.items():
        if day.weekday() >= 5 or found_hours != usual[(day.year, day.month)]:
            lines.append(f"special {day:%Y-%m-%d} {found_hours}")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


def by_month(sessions):
    months = collections.defaultdict(list)
    for day in sessions:
        months[(day.year, day.month)].append(day)
    return months


for each in NAMES:
    write(each)
