"""The commands `inception recipes` and `inception recipes show`."""

from typing import Annotated

import typer

from torchinception.console import out, print_table

recipes_app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


@recipes_app.callback(invoke_without_command=True)
def recipes(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the training recipes, or show one."""
    if context.invoked_subcommand:
        return
    from torchinception.training.recipe import load_recipe, recipe_names, recipe_text

    rows = []
    for name in recipe_names():
        network = load_recipe(name).network or "by the pictures"
        what = recipe_text(name).removeprefix("# ").partition("    ")[0]
        rows.append(dict(name=name, network=network, what=what))
    if as_json:
        out.print_json(data=rows)
    else:
        print_table("", ("recipe", "network", "what"), ([*row.values()] for row in rows))


@recipes_app.command(epilog="Example: inception recipes show inception-v3-2015")
def show(
    recipe: Annotated[str, typer.Argument(help="A name from: inception recipes; or a TOML file.")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any recipe value.")] = None,
) -> None:
    """Print a recipe with every value written out; the source of each stands at the top."""
    from torchinception.training.recipe import load_recipe, parse_settings, recipe_names, recipe_text, to_toml

    resolved = to_toml(load_recipe(recipe, parse_settings(set_ or [])))
    if recipe in recipe_names():
        typer.echo("".join(f"{line}\n" for line in recipe_text(recipe).splitlines() if line.startswith("#")))
    typer.echo(resolved, nl=False)
