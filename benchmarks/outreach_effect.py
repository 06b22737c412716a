"""How often the intervals of `agg_outreach_effect` hold the true effect of a simulated campaign.

python benchmarks/outreach_effect.py                       100 seeds, lists of 3,000 users, 10 % held out
python benchmarks/outreach_effect.py --seeds 1000 --users 1000 --effect 0.05

The compiled SQL of the model runs on all trials at once. A 95 % interval should hold the truth 95 times in 100; the
command fails below 90. Beside it, the comparison that nobody should make: contacted users against everybody held out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from outreach_trials import Trial, write_trials

from userops.config import Settings, load_settings
from userops.ingest.lake import ensure_lake
from userops.simulate import CampaignOptions
from userops.warehouse.dbt import dbt_environment, dbt_vars

AS_OF = date(2400, 1, 1)
FEWEST = 0.90
MODEL = "agg_outreach_effect"


def main() -> None:
    """Run the trials, print the coverage, fail where it is too low."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--users", type=int, default=3_000)
    parser.add_argument("--effect", type=float, default=0.2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sql = compiled_effect(Path(folder))
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as userops")
        connection.execute("use userops")
        options = CampaignOptions(effect=arguments.effect)
        trials = write_trials(connection, range(arguments.seeds), arguments.users, options)
        connection.execute(f"create table effect as {sql}")
        low = [report(connection, trials, name) for name in ("return", "contact", "revenue")]
    if min(low) < FEWEST:
        sys.exit(f"an interval holds the truth in fewer than {FEWEST:.0%} of the trials")


def compiled_effect(home: Path) -> str:
    """Return the SQL of the model, compiled by dbt for a throw-away instance."""
    config = home / "config"
    config.mkdir()
    for name in [name for name in os.environ if name.startswith("USEROPS_")]:
        del os.environ[name]
    settings: Settings = load_settings(home=str(home), config=str(config))
    ensure_lake(settings)
    settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(dbt_environment(settings))
    variables = json.dumps(dbt_vars(settings, AS_OF, 1))
    with contextlib.redirect_stdout(io.StringIO()):
        result = dbtRunner().invoke(["--quiet", "compile", "--no-write-json", "--vars", variables, "--select", MODEL])
    DuckDBConnectionManager.close_all_connections()
    if not result.success:
        sys.exit(f"dbt compile failed: {result.exception}")
    return next(str(node.node.compiled_code) for node in result.result if node.node.name == MODEL)


def report(connection: duckdb.DuckDBPyConnection, trials: list[Trial], name: str) -> float:
    """Print how often the interval of one effect holds the truth, and return that share."""
    column = {"return": "return_rate_difference", "contact": "contact_effect", "revenue": "revenue_difference"}[name]
    rows = connection.execute(
        f"""
        select experiment_from, {column}, {column}_low, {column}_high, is_sample_ratio_ok,
            contacted_return_rate - holdout_return_rate
        from effect where segment_type = 'all' order by experiment_from
        """
    ).fetchall()
    truth = {trial.experiment_from: getattr(trial, f"{name}_effect") for trial in trials}
    assert len(rows) == len(trials)
    held = sum(low <= truth[day] <= high for day, _, low, high, *_ in rows)
    mean_truth = sum(truth.values()) / len(truth)
    mean_estimate = sum(row[1] for row in rows) / len(rows)
    width = sum(row[3] - row[2] for row in rows) / len(rows)
    print(
        f"{name:8} effect: true {mean_truth:.4f}, estimated {mean_estimate:.4f} on average (interval {width:.4f} wide)"
    )
    print(f"         the 95 % interval holds the truth in {held} of {len(rows)} trials")
    if name == "contact":
        naive = sum(row[5] for row in rows) / len(rows)
        print(f"         contacted against held out, the biased way: {naive:.4f}")
    if name == "return":
        print(f"         sample ratio in order in {sum(bool(row[4]) for row in rows)} of {len(rows)} trials")
    return held / len(rows)


if __name__ == "__main__":
    main()
