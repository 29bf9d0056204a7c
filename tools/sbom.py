"""Writes dist/sbom.cdx.json: a CycloneDX bill of materials of a core install.

The content depends on the lock and on octavo's version alone, so the same tree gives the same file;
for that reason it carries neither a time nor a serial number, which CycloneDX leaves optional.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata

from packages import ROOT, licence, locked, needed_by

TARGET = ROOT / "dist/sbom.cdx.json"


def purl(name: str, version: str) -> str:
    """Return the package URL, which also serves as the component's reference."""
    return f"pkg:pypi/{name}@{version}"


def main() -> int:
    """Write the file and say where it is."""
    packages = locked()
    octavo = purl("octavo", metadata.version("octavo"))
    references = {name: purl(name, version) for name, (version, _) in packages.items()}
    references["octavo"] = octavo
    needs: dict[str, list[str]] = {reference: [] for reference in references.values()}
    for name, askers in needed_by(packages).items():
        for asker in askers:
            needs[references[asker]].append(references[name])
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": octavo,
                "name": "octavo",
                "version": metadata.version("octavo"),
                "purl": octavo,
                "licenses": [{"expression": licence("octavo")}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": references[name],
                "name": name,
                "version": version,
                "purl": references[name],
                "licenses": [{"expression": licence(name)}],
                "properties": [
                    {"name": "octavo:sha256", "value": digest} for digest in sorted(hashes)
                ],
            }
            for name, (version, hashes) in sorted(packages.items())
        ],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(below)}
            for reference, below in sorted(needs.items())
        ],
    }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(bill, indent=2) + "\n")
    print(f"{TARGET.relative_to(ROOT)}: {len(packages)} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
