"""A client of the Kubernetes Container Runtime Interface: the messages and fields of its runtime.v1 that the tests use."""
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

STRING, BOOL, BYTES, INT32, INT64, UINT32, UINT64 = 9, 8, 12, 5, 3, 13, 4
REPEATED = "*"

# message -> field -> (number, type); types are scalars, names of messages, or either with REPEATED. Numbers from kubernetes/cri-api,
# pkg/apis/runtime/v1/api.proto.
MESSAGES = {
    "VersionRequest": {"version": (1, STRING)},
    "VersionResponse": {"version": (1, STRING), "runtime_name": (2, STRING), "runtime_version": (3, STRING)},
    "PodSandboxMetadata": {"name": (1, STRING), "uid": (2, STRING), "namespace": (3, STRING), "attempt": (4, UINT32)},
    "NamespaceOption": {"network": (1, INT32), "pid": (2, INT32), "ipc": (3, INT32)},
    "LinuxSandboxSecurityContext": {"namespace_options": (1, "NamespaceOption")},
    "LinuxPodSandboxConfig": {"cgroup_parent": (1, STRING), "security_context": (2, "LinuxSandboxSecurityContext")},
    "PodSandboxConfig": {"metadata": (1, "PodSandboxMetadata"), "hostname": (2, STRING), "log_directory": (3, STRING),
                         "linux": (8, "LinuxPodSandboxConfig")},
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig"), "runtime_handler": (2, STRING)},
    "RunPodSandboxResponse": {"pod_sandbox_id": (1, STRING)},
    "StopPodSandboxRequest": {"pod_sandbox_id": (1, STRING)}, "StopPodSandboxResponse": {},
    "RemovePodSandboxRequest": {"pod_sandbox_id": (1, STRING)}, "RemovePodSandboxResponse": {},
    "PodSandboxStatusRequest": {"pod_sandbox_id": (1, STRING)},
    "PodSandboxNetworkStatus": {"ip": (1, STRING)},
    "PodSandboxStatus": {"id": (1, STRING), "state": (3, INT32), "network": (5, "PodSandboxNetworkStatus")},
    "PodSandboxStatusResponse": {"status": (1, "PodSandboxStatus")},
    "ImageSpec": {"image": (1, STRING)},
    "ContainerMetadata": {"name": (1, STRING), "attempt": (2, UINT32)},
    "KeyValue": {"key": (1, STRING), "value": (2, STRING)},
    "LinuxContainerResources": {"cpu_period": (1, INT64), "cpu_quota": (2, INT64), "cpu_shares": (3, INT64),
                                "memory_limit_in_bytes": (4, INT64), "oom_score_adj": (5, INT64), "cpuset_cpus": (6, STRING)},
    "LinuxContainerConfig": {"resources": (1, "LinuxContainerResources")},
    "ContainerConfig": {"metadata": (1, "ContainerMetadata"), "image": (2, "ImageSpec"), "command": (3, STRING, REPEATED),
                        "args": (4, STRING, REPEATED), "working_dir": (5, STRING), "envs": (6, "KeyValue", REPEATED),
                        "log_path": (11, STRING), "linux": (15, "LinuxContainerConfig")},
    "CreateContainerRequest": {"pod_sandbox_id": (1, STRING), "config": (2, "ContainerConfig"), "sandbox_config": (3, "PodSandboxConfig")},
    "CreateContainerResponse": {"container_id": (1, STRING)},
    "StartContainerRequest": {"container_id": (1, STRING)}, "StartContainerResponse": {},
    "StopContainerRequest": {"container_id": (1, STRING), "timeout": (2, INT64)}, "StopContainerResponse": {},
    "RemoveContainerRequest": {"container_id": (1, STRING)}, "RemoveContainerResponse": {},
    "ContainerStatusRequest": {"container_id": (1, STRING)},
    "ContainerStatus": {"id": (1, STRING), "state": (3, INT32), "exit_code": (7, INT32), "reason": (10, STRING)},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus")},
    "UpdateContainerResourcesRequest": {"container_id": (1, STRING), "linux": (2, "LinuxContainerResources")},
    "UpdateContainerResourcesResponse": {},
    "ExecSyncRequest": {"container_id": (1, STRING), "cmd": (2, STRING, REPEATED), "timeout": (3, INT64)},
    "ExecSyncResponse": {"stdout": (1, BYTES), "stderr": (2, BYTES), "exit_code": (3, INT32)},
    "UInt64Value": {"value": (1, UINT64)},
    "CpuUsage": {"timestamp": (1, INT64), "usage_core_nano_seconds": (2, "UInt64Value")},
    "MemoryUsage": {"timestamp": (1, INT64), "working_set_bytes": (2, "UInt64Value")},
    "ContainerStats": {"cpu": (2, "CpuUsage"), "memory": (3, "MemoryUsage")},
    "ContainerStatsRequest": {"container_id": (1, STRING)},
    "ContainerStatsResponse": {"stats": (1, "ContainerStats")},
}
READY, NOT_READY = 0, 1
CREATED, RUNNING, EXITED = 0, 1, 2
NODE = 2  # NamespaceMode: the host's


def message_classes() -> dict:
    file = descriptor_pb2.FileDescriptorProto(name="cri.proto", package="runtime.v1", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, *repeated) in fields.items():
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                added.type, added.type_name = 11, f".runtime.v1.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f"runtime.v1.{name}")) for name in MESSAGES}


class Cri:
    """`cri("StartContainer", container_id=...)` gives the answer; a refusal is grpc.RpcError."""

    def __init__(self, address: str):
        self.channel = grpc.insecure_channel(f"unix://{address}")
        self.classes = message_classes()

    def __call__(self, method: str, timeout: float = 60, **fields):
        request = self.classes[f"{method}Request"](**fields)
        call = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", request_serializer=lambda message: message.SerializeToString(),
                                        response_deserializer=self.classes[f"{method}Response"].FromString)
        return call(request, timeout=timeout)

    def close(self) -> None:
        self.channel.close()
