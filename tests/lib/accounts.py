"""An ordinary user of this machine, made for one suite."""
import contextlib
import pathlib
import pwd
import subprocess


@contextlib.contextmanager
def account(name: str):
    """Makes the account, with subordinate ids as every account gets them, and removes it with its home."""
    try:
        pwd.getpwnam(name)
        made = False
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
        made = True
    entry = pwd.getpwnam(name)
    pathlib.Path(entry.pw_dir).chmod(0o755)
    try:
        yield entry
    finally:
        if made:
            subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)
