"""Manifests, machine lists and images: against Kubernetes' schemas, the fields of KubeRay's types, Ray's and hadolint's checks.

Nothing here was run on Kubernetes, docker or a cloud; this is what can be told without them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim2pose.cluster.addresses import PORT
from sim2pose.cluster.needs import needs_of
from sim2pose.trainers import ray_runtime

ROOT = Path(__file__).parents[2]
KUBERAY, VM = ROOT / "cluster" / "kuberay", ROOT / "cluster" / "vm"
SHARED = "/shared"

# Fields of KubeRay 1.6's types (ray-operator/apis/ray/v1); pod templates are checked as Kubernetes' own.
CLUSTER = {"rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "authOptions", "headGroupSpec", "workerGroupSpecs",
           "headServiceAnnotations", "suspend", "managedBy", "gcsFaultToleranceOptions", "upgradeStrategy"}  # fmt: skip
JOB = {"entrypoint", "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "runtimeEnvYAML", "jobId", "metadata",
       "rayClusterSpec", "clusterSelector", "submitterPodTemplate", "submitterConfig", "submissionMode", "suspend",
       "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit", "managedBy",
       "deletionStrategy"}  # fmt: skip
AUTOSCALER = {"version", "upscalingMode", "idleTimeoutSeconds", "image", "imagePullPolicy", "env", "envFrom", "resources",
              "securityContext", "volumeMounts"}  # fmt: skip
HEAD = {"rayStartParams", "template", "serviceType", "headService", "enableIngress"}
WORKERS = {"groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams", "template",
           "scaleStrategy", "suspend", "idleTimeoutSeconds"}  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def cluster_of(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = read(KUBERAY / name)["spec"]
    return spec.get("rayClusterSpec", spec)


def check_core(document: dict[str, Any]) -> None:
    import kubernetes_validate

    kubernetes_validate.validate(document, "1.34", strict=True)


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_a_cluster_has_the_fields_of_its_types(name: str) -> None:
    spec = cluster_of(name)
    assert set(spec) <= CLUSTER
    assert set(spec["headGroupSpec"]) <= HEAD
    assert set(spec["autoscalerOptions"]) <= AUTOSCALER
    assert spec["authOptions"] == {"mode": "token", "secretName": "sim2pose-ray-token"}
    assert spec["rayVersion"] == version("ray"), "the images' Ray, of constraints.txt"
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        template = group["template"]
        check_core({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template})
    for group in spec["workerGroupSpecs"]:
        assert set(group) <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_core_kinds_are_valid_and_a_wrong_one_is_not() -> None:
    claim = read(KUBERAY / "storage.yaml")
    check_core(claim)
    claim["spec"]["accesModes"] = claim["spec"].pop("accessModes")
    with pytest.raises(Exception, match="accesModes"):
        check_core(claim)


def test_pods_agree_on_names_ports_and_paths() -> None:
    spec = cluster_of("raycluster.yaml")
    head, farm, train = (
        group["template"]["spec"]["containers"][0] for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    )
    assert {port["name"]: port["containerPort"] for port in head["ports"]}["dashboard"] == PORT
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0", "no work lands on the head"
    assert (farm["image"].rpartition(":")[2], train["image"].rpartition(":")[2]) == ("cpu", "cuda")
    assert "nvidia.com/gpu" not in farm["resources"]["limits"]
    assert train["resources"]["limits"]["nvidia.com/gpu"] == "1"
    claim = read(KUBERAY / "storage.yaml")["metadata"]["name"]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {"name": ray_runtime.AUTOSCALING, "value": "1"} in container["env"]
        assert {m["mountPath"] for m in container["volumeMounts"]} == {SHARED, "/dev/shm"}
        assert claim in {v.get("persistentVolumeClaim", {}).get("claimName") for v in pod["volumes"]}
        assert all(source["secretRef"]["optional"] for source in container["envFrom"])
    monitor = read(KUBERAY / "podmonitor.yaml")["spec"]
    assert monitor["selector"]["matchLabels"]["ray.io/cluster"] == read(KUBERAY / "raycluster.yaml")["metadata"]["name"]
    assert monitor["podMetricsEndpoints"][0]["portNumber"] in {port["containerPort"] for port in head["ports"]}


def test_spot_machines_are_tolerated_by_both_groups() -> None:
    for group in cluster_of("raycluster.yaml")["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        assert {"cloud.google.com/gke-spot", "spot"} <= {toleration["key"] for toleration in pod["tolerations"]}
        assert pod["terminationGracePeriodSeconds"] >= 30


def test_the_job_brings_the_same_cluster_and_a_command_that_resolves() -> None:
    assert cluster_of("rayjob.yaml") == cluster_of("raycluster.yaml")
    spec = read(KUBERAY / "rayjob.yaml")["spec"]
    assert set(spec) <= JOB
    words = shlex.split(spec["entrypoint"])
    assert words[:3] == ["python", "-m", "sim2pose"]
    needs = needs_of(words[3:])
    assert (needs.cpus, needs.workers, needs.gpus_each) == (spec["entrypointNumCpus"], 1, 1)
    assert f"out={SHARED}/runs" in words


@pytest.mark.parametrize("name", ["local.yaml", "aws.yaml"])
def test_rays_own_validator_takes_the_machines(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = read(VM / name)
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    options = config["docker"]["run_options"]
    prepared = prepare_config(config)
    validate_config(prepared)
    token = next(option for option in options if "RAY_AUTH_TOKEN_PATH" in option).rpartition("=")[2]
    assert token in prepared["file_mounts"], "the token lies where Ray is told to look"
    assert "--env=RAY_AUTH_MODE=token" in options
    assert f"--volume={SHARED}:{SHARED}" in options
    assert all("--metrics-export-port=8080" in start for start in starts if start.startswith("ray start"))


def test_rented_machines_are_spot_in_two_groups_that_fit_the_jobs() -> None:
    config = read(VM / "aws.yaml")
    types = config["available_node_types"]
    for name in ("farm", "train"):
        assert types[name]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert types[name]["min_workers"] == 0
    assert "GPU" not in types["farm"]["resources"]
    assert types["train"]["resources"]["GPU"] == 1
    assert f"--env={ray_runtime.AUTOSCALING}=1" in config["docker"]["run_options"]


def test_images_pass_the_linter_and_use_the_pinned_versions() -> None:
    file = ROOT / "cluster" / "images" / "Dockerfile"
    linted = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), str(file)], capture_output=True, text=True, timeout=60
    )
    assert linted.returncode == 0, linted.stdout
    text = file.read_text(encoding="utf-8")
    assert set(re.findall(r"^FROM \S+ AS (\w+)", text, re.MULTILINE)) == {"wheel", "base", "cpu", "cuda"}
    installs = re.findall(r"pip install [^\\&\n]*", text)
    assert len(installs) == 4
    assert all("-c /opt/sim2pose/constraints.txt" in install for install in installs)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    folders = {link.resolve().name for link in (ROOT / "sim2pose").iterdir() if link.is_symlink()}
    assert folders | {"sim2pose", "pyproject.toml", "constraints.txt", "LICENSE", "NOTICE", "README.md"} == allowed
