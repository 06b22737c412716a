"""How long the simulator takes: the demo's size and ten million events.

python benchmarks/simulate.py            # both sizes
python benchmarks/simulate.py --users 20000 --days 180
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from pathlib import Path

from userops.simulate import SimulationOptions, simulate

#: (users, days): about 3 million and about 10 million events.
SIZES = ((20_000, 180), (66_000, 180))


def measure(users: int, days: int, dirt: float, folder: Path | None) -> None:
    """Simulate once into a temporary folder and print what it took."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        result = simulate(Path(home), SimulationOptions(users=users, days=days, dirt=dirt))
        size = sum(file.stat().st_size for file in result.landing.rglob("*") if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"users={users:,} days={days} dirt={dirt} events={result.events:,} orders={result.orders:,} "
        f"files={result.files} size={size / 1e6:,.0f}MB seconds={result.seconds:.1f} "
        f"events_per_second={result.events / result.seconds:,.0f} peak_memory={peak:,.0f}MB cores={os.cpu_count()}"
    )


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, help="one size of your own")
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--dirt", type=float, default=0.0)
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's temporary folder")
    options = parser.parse_args()
    sizes = ((options.users, options.days),) if options.users else SIZES
    for users, days in sizes:
        measure(users, days, options.dirt, options.folder)


if __name__ == "__main__":
    main()
