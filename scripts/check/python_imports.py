"""Imports everything of requirements.txt and prints what was found.

A wheel that installs may still fail to load (a missing C library); this tells before the tests do.
"""

import importlib
import importlib.metadata
import sys

MODULES = {
    "psycopg": "psycopg",
    "psycopg2": "psycopg2-binary",
    "asyncpg": "asyncpg",
    "sqlalchemy": "SQLAlchemy",
    "pyarrow.flight": "pyarrow",
    "pyarrow.parquet": "pyarrow",
    "adbc_driver_manager.dbapi": "adbc-driver-manager",
    "adbc_driver_flightsql.dbapi": "adbc-driver-flightsql",
    "confluent_kafka.admin": "confluent-kafka",
    "duckdb": "duckdb",
    "numpy": "numpy",
    "pandas": "pandas",
    "talib": "ta-lib",
    "talipp.indicators": "talipp",
    "scipy": "scipy",
    "statsmodels.api": "statsmodels",
    "empyrical": "empyrical-reloaded",
    "arch": "arch",
    "exchange_calendars": "exchange-calendars",
    "moto.server": "moto",
    "pytest": "pytest",
}

failed = 0
for module, package in MODULES.items():
    try:
        importlib.import_module(module)
        print(f"ok    {module} ({package} {importlib.metadata.version(package)})")
    except Exception as error:  # whatever a native module raises while loading
        failed += 1
        print(f"FAIL  {module} ({package}): {type(error).__name__}: {error}")
sys.exit(1 if failed else 0)
