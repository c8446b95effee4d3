"""Python stubs of the public API, made from the repository's .proto files once per run."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile

from support import ROOT

import grpc
import grpc_tools
from google.rpc import error_details_pb2, status_pb2
from grpc_tools import protoc

_folder = tempfile.mkdtemp(prefix="cogwheel-stubs-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
_failed = protoc.main(["protoc", f"-I{ROOT}/proto", f"-I{_well_known}", f"--python_out={_folder}", f"--grpc_python_out={_folder}",
                       f"{ROOT}/proto/cogwheel/v1/video_service.proto", f"{ROOT}/proto/cogwheel/internal/v1/rank_control.proto",
                       f"{ROOT}/proto/grpc/health/v1/health.proto"])
if _failed:
    raise RuntimeError("protoc failed")
sys.path.insert(0, _folder)
# grpc's own package has no room for more in another folder.
_spec = importlib.util.spec_from_file_location("health_pb2", os.path.join(_folder, "grpc", "health", "v1", "health_pb2.py"))
health_pb = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(health_pb)

from cogwheel.v1 import video_service_pb2 as pb  # noqa: E402
from cogwheel.v1 import video_service_pb2_grpc as rpc  # noqa: E402


def connect(address):
    channel = grpc.insecure_channel(address)
    return channel, rpc.VideoServiceStub(channel)


def details(error):
    """{message type's name: message} of an RpcError's google.rpc details."""
    found = {}
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            kind = getattr(error_details_pb2, detail.type_url.rsplit(".", 1)[1])
            found[kind.__name__] = kind.FromString(detail.value)
    return found
