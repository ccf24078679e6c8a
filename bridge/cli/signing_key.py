"""`lock-bridge signing-key`: keys that commands are signed with."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bridge.cli.boundary import Exit, Stop, show_json, tell, warn
from bridge.cli.keys import AsJson, Family, check_locks, configuration
from bridge.cli.locks import complete
from bridge.cli.values import label

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bridge.config import Config
    from bridge.keys.signing import SigningKey
    from bridge.keys.signing_keys import Made, SigningKeys

app = typer.Typer(
    no_args_is_help=True,
    help="""Make, list and revoke keys that commands are signed with.

    A lock with require_signature takes over the network only what is signed with one of them. Several are good at the
    same time: to replace one, make the next, give it to its holder, and revoke the first.
    """,
)


def _keys(config: Config) -> SigningKeys:
    from bridge.keys.signing_keys import SigningKeys

    return SigningKeys(config.bridge.state_dir)


_FAMILY = Family("signing-key", "algorithm", lambda key: key.algorithm, _keys)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Who will hold it, such as a program.", metavar="[NAME]", callback=label)
    ] = "signing key",
    *,
    algorithm: Annotated[
        Literal["ed25519", "hmac-sha256"],
        typer.Option(help="hmac-sha256 only where Ed25519 cannot be: the bridge then keeps the secret, too."),
    ] = "ed25519",
    locks: Annotated[
        list[str] | None,
        typer.Option("--lock", help="For this lock only; may be repeated.", metavar="ID", autocompletion=complete),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the key to this new file, for you alone, instead of showing it.")
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="Take this public key, in PEM: its holder has made it, and the private one stays there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once.

    Try:

      $ lock-bridge signing-key create panel --lock front_door --out panel.pem
      $ openssl genpkey -algorithm ed25519 -out panel.pem && openssl pkey -in panel.pem -pubout -out panel.pub
      $ lock-bridge signing-key create panel --public-key panel.pub
    """
    from bridge.config import preflight

    config = configuration(context.obj)
    if public_key is not None and (out is not None or algorithm != "ed25519"):
        raise Stop("--public-key goes without --out and with ed25519: nothing is made, so nothing is shown", Exit.WRONG)
    check_locks(config, locks or ())
    given = None if public_key is None else _public_key(public_key)
    preflight.make_state_dir(config)
    keys = _keys(config)
    if given is not None:
        _tell_kept(keys.take(name, given, locks or None), as_json=as_json)
        return
    if out is None:
        _show(keys.make(name, algorithm, locks or None), as_json=as_json)
    else:
        with _new_file(out) as write:
            made = keys.make(name, algorithm, locks or None)
            write(made.secret)
        _tell_kept(made.kept, as_json=as_json)
    if algorithm == "hmac-sha256":
        warn("the bridge keeps this secret, too: whoever reads its state folder can sign commands")


@app.command("list")
def list_keys(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the keys: who holds them and what for.

    Try:

      $ lock-bridge signing-key list
    """
    _FAMILY.show(context.obj, as_json=as_json)


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[
        str, typer.Argument(help="The key's id, as `list` shows it.", metavar="ID", autocompletion=_FAMILY.complete)
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """End a key: from the next command on, in a running bridge too.

    Try:

      $ lock-bridge signing-key revoke 1f0c9a3e
    """
    _FAMILY.revoke(context.obj, key_id, as_json=as_json)


def _public_key(file: Path) -> bytes:
    """Return the public key that a file holds."""
    from bridge.keys import signing

    try:
        return signing.public_key(file.read_text("ascii"))
    except PermissionError:
        raise
    except OSError as error:
        raise Stop(f"{file} cannot be read: {error.strerror}", Exit.WRONG) from None
    except UnicodeDecodeError:
        raise Stop(f"{file} is no text, and no public key in PEM", Exit.WRONG) from None
    except ValueError as error:
        raise Stop(f"{file} {error}", Exit.WRONG) from None


@contextmanager
def _new_file(path: Path) -> Generator[Callable[[str], object]]:
    """Make a file that its owner alone can read, to write to; it goes again if that fails."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Stop(f"{path} is there already; name a new file with --out", Exit.WRONG) from None
    except PermissionError:
        raise
    except OSError as error:
        raise Stop(f"{path} cannot be made: {error.strerror}", Exit.WRONG) from None
    try:
        with open(file, "w", encoding="ascii") as stream:  # noqa: PTH123 - made above, for its owner alone
            yield stream.write
    except BaseException:
        path.unlink()
        raise


def _show(made: Made, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": made.kept.id, "algorithm": made.kept.algorithm, "key": made.secret})
        return
    tell(f"Here is the key {made.kept.id}; it is not shown again:")
    typer.echo(made.secret, nl=False)
    tell(f"`lock-bridge signing-key revoke {made.kept.id}` ends it.")


def _tell_kept(key: SigningKey, *, as_json: bool) -> None:
    """Tell which key it is, where there is nothing to show."""
    if as_json:
        show_json({"id": key.id, "algorithm": key.algorithm})
    else:
        typer.echo(key.id)
        tell(f"Commands name the key by this id; `lock-bridge signing-key revoke {key.id}` ends it.")
