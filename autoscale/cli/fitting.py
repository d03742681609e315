"""The command ``fit``: a description of chance from the user's own measurements."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from autoscale.cli.options import Json  # noqa: TC001 - read when the command is built


def fit(
    measurements: Annotated[
        list[str],
        Parameter(help="CSV files or traces; what each measures is seen by its columns."),
    ],
    /,
    *,
    output: Annotated[
        str | None, Parameter(name=("-o", "--output"), help="Write the description: .toml.")
    ] = None,
    base: Annotated[
        str | None,
        Parameter(help="Take what was not measured from this: default, or a .toml file."),
    ] = None,
    json: Json = False,
) -> None:
    """Fit chance to measurements, for autoscale simulate --chance.

    Columns: boot_s (blank: never ready); task, runtime_s; estimate_s, runtime_s and category;
    life_s, interrupted; or a time and available.
    """
    from autoscale.cli.output import check_writable, emit, emit_json
    from autoscale.formats.files import atomic_write
    from simulator.chance import read_chance
    from simulator.chance_toml import to_toml
    from simulator.learning import learn

    check_writable("--output", output, kinds=(".toml",))
    learned = learn(measurements, read_chance(base) if base else None)
    text = to_toml(learned.chance, learned.notes)
    if output is not None:
        with atomic_write(output) as out:
            out.write(text.encode())
    if json:
        emit_json(learned.rows)
    elif output is None:
        sys.stdout.write(text)
    else:
        from rich.text import Text

        emit(*(Text(f"{source}: {note}") for source, note in learned.notes.items()))
