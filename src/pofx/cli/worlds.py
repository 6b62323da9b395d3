"""``pofx worlds``: the distributions whose truth is known."""

from __future__ import annotations

import inspect
from typing import Any

import click

from pofx.cli.options import force_option, json_option, verb
from pofx.cli.output import emit, json_text, may_write
from pofx.cli.words import nearest

__all__ = ["command"]


@verb("known distributions to try things on", "pofx worlds", "pofx worlds moons --json")
@click.argument("name", required=False)
@click.option("-o", "--output", metavar="FILE", help="Write it there; by default to standard output.")
@json_option
@force_option
def worlds(name: str | None, output: str | None, as_json: bool, force: bool) -> None:
    """List the known worlds, or the options of the one called NAME.

    world:NAME stands for draws from it wherever a file is read, and for the truth wherever a model is:
    world:moons,n=500,seed=1,noise=0.2.
    """
    may_write(output, force=force)
    from pofx.data.worlds.world import ALIASES, WORLDS

    chosen = list(WORLDS)
    if name is not None:
        plain = name.removeprefix("world:").partition(",")[0]
        plain = ALIASES.get(plain, plain)
        if plain not in WORLDS:
            raise click.UsageError(f"There is no world {plain!r}.{nearest(plain, [*WORLDS, *ALIASES])}")
        chosen = [plain]
    records = [_record(key, ALIASES) for key in chosen]
    if as_json:
        text = json_text({"schema": "pofx.worlds/1", "worlds": records})
    elif name is not None:
        text = _card(records[0])
    else:
        width = max(map(len, chosen))
        text = "".join(f"{r['name'].ljust(width)}  {r['summary']}\n" for r in records)
        text += (
            '\npofx worlds NAME tells its options; pofx report "world:moons,n=500" reads draws from one.\n'
        )
    emit(text, output, force=force)


def _record(name: str, aliases: dict[str, str]) -> dict[str, Any]:
    from pofx.data import worlds
    from pofx.data.worlds.world import WORLDS

    world = worlds.get(name)
    entry = WORLDS[name]
    return {
        "name": name,
        "aliases": sorted(alias for alias, of in aliases.items() if of == name),
        "summary": entry.summary,
        "columns": world.n_features_in_,
        "measure": world.measure,
        "options": {key: p.default for key, p in inspect.signature(entry.build).parameters.items()},
        "formula": inspect.cleandoc(entry.build.__doc__ or "").partition("\n")[0],
    }


def _card(record: dict[str, Any]) -> str:
    options = [f"  {key} = {value}" for key, value in record["options"].items()]
    simple = [key for key, value in record["options"].items() if isinstance(value, int | float)]
    more = f",{simple[0]}={record['options'][simple[0]]}" if simple else ""
    also = f" (also {', '.join(record['aliases'])})" if record["aliases"] else ""
    lines = [
        f"{record['name']}{also}: {record['summary']}",
        record["formula"],
        f"{record['columns']} column{'s' * (record['columns'] > 1)}, a {record['measure']}",
        *(["options:", *options] if options else []),
        f"pofx sample world:{record['name']}{more} -n 1000",
    ]
    return "\n".join(lines) + "\n"


command = worlds
