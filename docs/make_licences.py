"""Write docs/licences.md: the licence of everything that the image carries: `make licences`.

The packages are those of requirements/full.txt; what each says of itself is read from its installed metadata,
so those of them that are not installed here are named as such.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from tables import table

TARGET = Path(__file__).with_name("licences.md")
LOCKED = TARGET.parent.parent / "requirements" / "full.txt"
SAID = 60  # characters; some packages put the whole text there
HEAD = """\
# Licences

Made by `make licences` from `requirements/full.txt` and what each package says of itself. Packed into the
pages: echarts (Apache-2.0) and idiomorph (0BSD), `dashboard/assets.lock`. `make sbom` writes the same set
with its hashes as CycloneDX.
"""


def page() -> str:
    """Return the whole page."""
    rows = []
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCKED.read_text(), re.MULTILINE):
        try:
            rows.append([name, version, licence_of(metadata(name))])
        except PackageNotFoundError:
            rows.append([name, version, "not installed here"])
    return HEAD + "\n" + "\n".join(table("package | version | licence", rows))


def licence_of(told: PackageMetadata) -> str:
    """Return what a package says: the SPDX expression, else its classifiers, else its own words."""
    if "License-Expression" in told:
        return told["License-Expression"]
    classifiers = [each for each in told.get_all("Classifier") or [] if each.startswith("License :: ")]
    words = ", ".join(each.rpartition(" :: ")[2] for each in classifiers)
    own = (told["License"] or "").strip().partition("\n")[0] if "License" in told else ""
    return (words or own or "not told")[:SAID]


if __name__ == "__main__":
    TARGET.write_text(page())
