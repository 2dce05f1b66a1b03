#!/usr/bin/env python3
"""mkimage.py NAME OUT.tar ROOTDIR ARCH [--entrypoint A] [--cmd A]

Packs ROOTDIR as a one-layer OCI image archive named NAME. It needs no builder
and no registry; the same input always gives the same bytes.
"""

import argparse
import hashlib
import io
import json
import os
import tarfile

OCI = "application/vnd.oci.image"


def layer_of(root: str) -> bytes:
    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(os.listdir(root)):
            tar.add(os.path.join(root, name), arcname=name, filter=plain)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("name", "out", "root", "arch"):
        parser.add_argument(name)
    parser.add_argument("--entrypoint", action="append")
    parser.add_argument("--cmd", action="append")
    args = parser.parse_args()

    blobs: dict[str, bytes] = {}

    def put(kind: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    platform = {"architecture": args.arch, "os": "linux"}
    layer = put("layer.v1.tar", layer_of(args.root))
    run = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/"}
    if args.entrypoint:
        run["Entrypoint"] = args.entrypoint
    if args.cmd:
        run["Cmd"] = args.cmd
    config = platform | {
        "created": "1970-01-01T00:00:00Z",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": put("config.v1+json", json.dumps(config).encode()),
        "layers": [layer],
    }
    entry = put("manifest.v1+json", json.dumps(manifest).encode())
    entry["platform"] = platform
    entry["annotations"] = {
        "io.containerd.image.name": args.name,
        "org.opencontainers.image.ref.name": args.name.rsplit(":", 1)[1],
    }
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [entry]}
    blobs["index.json"] = json.dumps(index).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'

    with tarfile.open(args.out, "w") as tar:
        for path, data in blobs.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    main()
