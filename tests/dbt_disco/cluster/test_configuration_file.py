"""A cluster's TOML file: what it gives, and that each mistake is said with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.cluster.configuration import MachineConfiguration, Restart
from dbt_disco.cluster.configuration_file import read_cluster
from dbt_disco.cluster.toml_table import ConfigurationError
from dbt_disco.disks.drive import SharingMode
from runtime.system.placement_policy import NO_POLICY, PageUse, load_policy

COMPLETE = """\
name = "demo"

[machine]
nodes = 2
cpus_per_node = 3
content_sharing = false
memory_per_node = "512M"

[disks.root]
image = "root.ext4"

[disks.data]
image = "/data.img"
mode = "overlay"
overlay = "state/{vm}.overlay"
serial = "D1"

[subnets.outside]

[vms.web]
kernel = "kernel"
initrd = "initrd"
append = "host={vm} quiet"
memory = "64M"
disks = ["root", "data"]
subnet = "outside"
count = 2
restart = "on-failure"
autostart = false
rng = true

[vms.alone]
kernel = "/boot/kernel"
home_node = 1
subnet = "outside"
forward = ["tcp::2222-:22"]
"""


def written(path: Path, text: str) -> Path:
    file = path / "cluster.toml"
    file.write_text(text)
    return file


def test_everything_is_read(tmp_path: Path) -> None:
    cluster = read_cluster(written(tmp_path, COMPLETE))
    assert cluster.name == "demo"
    assert cluster.machine == MachineConfiguration(2, 3, 512 << 20, content_sharing=False)
    assert [member.name for member in cluster.members] == ["web-1", "web-2", "alone"]
    web, other, alone = cluster.members
    assert (web.home_node, other.home_node, alone.home_node) == (0, 1, 1)
    assert (web.restart, alone.restart) == (Restart.ON_FAILURE, Restart.NEVER)
    assert (web.autostart, alone.autostart) == (False, True)
    guest = web.virtual_machine
    assert guest.kernel == tmp_path / "kernel" and guest.initrd == tmp_path / "initrd"
    assert guest.command_line == "host=web-1 quiet" and guest.memory_size == 64 << 20 and guest.entropy
    root, data = guest.drives
    assert (root.file, root.mode) == (tmp_path / "root.ext4", SharingMode.SHARED)
    assert (data.file, data.overlay, data.serial) == (
        Path("/data.img"),
        tmp_path / "state/web-1.overlay",
        b"D1",
    )
    assert other.virtual_machine.drives[1].overlay == tmp_path / "state/web-2.overlay"
    assert guest.network is not None and guest.mac != other.virtual_machine.mac
    network = alone.virtual_machine.network
    assert network is not None and network.forwardings[0].host_port == 2222


def test_where_memory_is_and_what_moves_it(tmp_path: Path) -> None:
    text = '[machine]\nnodes = 2\npolicy = "none"\n[vms.a]\nkernel = "k"\nhome_node = 0\nmemory_node = 1\n'
    cluster = read_cluster(written(tmp_path, text))
    assert cluster.machine.policy == NO_POLICY
    assert (cluster.members[0].home_node, cluster.members[0].memory_node) == (0, 1)
    own = text.replace('"none"', f'"{__name__}:Sedate"')
    assert isinstance(load_policy(read_cluster(written(tmp_path, own)).machine.policy), Sedate)


class Sedate:
    """A policy of one's own."""

    trigger = 1

    def decide(self, page: PageUse) -> None:
        """All stay."""


class Demanding(Sedate):
    """One that cannot be made."""

    def __init__(self, more: int) -> None:
        self.more = more


def test_little_needs_to_be_said(tmp_path: Path) -> None:
    cluster = read_cluster(written(tmp_path, '[vms.a]\nkernel = "k"\n'))
    assert cluster.name == "cluster" and cluster.machine == MachineConfiguration(1, 1, 1 << 30)
    (member,) = cluster.members
    assert member.memory_node is None
    assert member.virtual_machine.memory_size == 256 << 20 and not member.virtual_machine.drives


VM = '[vms.a]\nkernel = "k"\n'
MISTAKES = {
    "an unknown field": (
        VM + "\nmemroy = 5\n",
        "4: vms.a.memroy: there is no such field; did you mean memory?",
    ),
    "an unknown table": (
        "# cluster\n[machin]\nnodes = 2\n" + VM,
        "2: machin: there is no such field; did you mean machine?",
    ),
    "no kernel": ("\n[vms.a]\nmemory = 4\n", "2: vms.a.kernel: it is missing"),
    "no virtual machine": ('name = "x"\n', "1: vms: there is no virtual machine"),
    "a number for a text": (
        "[vms.a]\n\nkernel = 5\n",
        "3: vms.a.kernel: it is a text in quotes, not a whole number",
    ),
    "a text for a number": (
        VM + '[machine]\nnodes = "2"\n',
        "4: machine.nodes: it is a whole number, not a text in quotes",
    ),
    "true for a number": (
        "[machine]\nnodes = true\n" + VM,
        "2: machine.nodes: it is a whole number, not true or false",
    ),
    "no node at all": ("[machine]\nnodes = 0\n" + VM, "2: machine.nodes: it is at least 1 and at most"),
    "a home that there is not": (
        VM + "home_node = 1\n",
        "3: vms.a.home_node: it is at least 0 and at most 0, not 1",
    ),
    "memory on a node that there is not": (
        VM + "memory_node = 1\n",
        "3: vms.a.memory_node: it is at least 0 and at most 0, not 1",
    ),
    "a policy that is no import path": (
        VM + '[machine]\npolicy = "hot"\n',
        '4: machine.policy: it is "package.module:Class", or "none", not "hot"',
    ),
    "a policy in no module": (
        VM + '[machine]\npolicy = "no.such.module:Policy"\n',
        "4: machine.policy: no.such.module cannot be imported: No module named",
    ),
    "a policy that its module has not": (
        VM + '[machine]\npolicy = "runtime.system.placement_policy:Hot"\n',
        "4: machine.policy: runtime.system.placement_policy has no class Hot",
    ),
    "a class that is no policy": (
        VM + '[machine]\npolicy = "collections:Counter"\n',
        "4: machine.policy: Counter is no policy: it needs a method decide",
    ),
    "a policy that wants arguments": (
        VM + f'[machine]\npolicy = "{__name__}:Demanding"\n',
        "4: machine.policy: Demanding cannot be made without arguments: ",
    ),
    "more nodes than a machine can have": (
        "[machine]\nnodes = 17\n" + VM,
        "2: machine.nodes: it is at least 1",
    ),
    "a size without a unit": (VM + 'memory = "many"\n', '3: vms.a.memory: it is a size like "256M"'),
    "a size that is no number of pages": (VM + 'memory = "1K"\n', "3: vms.a.memory: memory size 1024: not a"),
    "more memory than there are addresses": (VM + 'memory = "9G"\n', "3: vms.a.memory: memory size"),
    "a node of more memory than any host has": (
        '[machine]\nmemory_per_node = "900000G"\n' + VM,
        "2: machine.memory_per_node: it is at least 1M and at most",
    ),
    "an empty kernel": ('[vms.a]\nkernel = ""\n', "2: vms.a.kernel: '' is no file's name"),
    "a zero in a name": (VM + 'initrd = "a\\u0000"\n', "3: vms.a.initrd: 'a\\x00' is no file's name"),
    "an exclusive disk for copies": (
        '[disks.d]\nimage = "i"\nmode = "exclusive"\n' + VM + 'count = 2\ndisks = ["d"]\n',
        "7: vms.a.disks: copies cannot have d, which is exclusive",
    ),
    "a disk twice": (
        '[disks.d]\nimage = "i"\n' + VM + 'disks = ["d", "d"]\n',
        "5: vms.a.disks: d is there twice",
    ),
    "an unknown mode": (
        '[disks.d]\nimage = "i"\nmode = "overlya"\n' + VM,
        "3: disks.d.mode: 'overlya' is not possible; did you mean overlay?",
    ),
    "an overlay without its file": (
        '[disks.d]\nimage = "i"\nmode = "overlay"\n' + VM,
        "1: disks.d.overlay: it is missing",
    ),
    "a file for writes that are dropped": (
        '[disks.d]\nimage = "i"\noverlay = "o"\n' + VM,
        '3: disks.d.overlay: it needs mode = "overlay"',
    ),
    "an unknown disk, in a list of several lines": (
        VM + 'disks = [\n  # comment\n  "b",\n]\n',
        "3: vms.a.disks: there is no [disks.b]; there are: none",
    ),
    "a list of numbers": (VM + "disks = [1]\n", "3: vms.a.disks: its entries are texts in quotes"),
    "copies that share an overlay": (
        '[disks.d]\nimage = "i"\nmode = "overlay"\noverlay = "o"\n' + VM + 'count = 2\ndisks = ["d"]\n',
        "8: vms.a.disks: copies cannot share the overlay of d",
    ),
    "an unknown subnet": (VM + 'subnet = "s"\n', "3: vms.a.subnet: there is no [subnets.s]"),
    "a port without a subnet": (VM + 'forward = ["tcp::1-:1"]\n', "3: vms.a.forward: it needs a subnet"),
    "a port that is none": (
        "[subnets.s]\n" + VM + 'subnet = "s"\nforward = ["22"]\n',
        "5: vms.a.forward: hostfwd=22: it is hostfwd=",
    ),
    "an unknown restart policy": (
        VM + 'restart = "allways"\n',
        "3: vms.a.restart: 'allways' is not possible; did you mean always?",
    ),
    "a value for a table": ("[vms]\na = 3\n", "2: vms.a: it is a table, [vms.a], not a whole number"),
    "a name with a blank": ('[vms."a b"]\nkernel = "k"\n', "1: vms.a b: 'a b' is no name"),
    "two of the same name": (
        VM.replace("a]", "a-1]") + VM + "count = 2\n",
        "1: vms.a-1: another virtual machine's copies have the same name",
    ),
    "a dotted field": (
        'vms.a.kernel = "k"\nvms.a.cuont = 1\n',
        "2: vms.a.cuont: there is no such field; did you mean count?",
    ),
    "a field behind a text of several lines": (
        '[vms.a]\nappend = """\n[machine]\nnodes = 5\n"""\nkernel = 5\n',
        "6: vms.a.kernel: it is a text",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_name_file_line_and_field(mistake: str, tmp_path: Path) -> None:
    text, message = MISTAKES[mistake]
    file = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        read_cluster(file)
    assert str(caught.value).startswith(f"{file}:{message}")
    assert "\n" not in str(caught.value) and caught.value.exit_status == 2


def test_what_is_no_toml_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cluster\.toml: not a TOML file: .*line 2"):
        read_cluster(written(tmp_path, "[vms.a]\nkernel =\n"))
    with pytest.raises(ConfigurationError, match="No such file"):
        read_cluster(tmp_path / "none.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_cluster(tmp_path / "binary")


@pytest.mark.usefixtures("debian")
@pytest.mark.parametrize(
    ("kernel", "line", "balloon"),
    [("debian", "", True), ("debian", "balloon = false", False), ("kernel", "", False)],
)
def test_debian_gives_free_memory_back(tmp_path: Path, kernel: str, line: str, balloon: bool) -> None:
    """Its initramfs has the driver; other kernels get a balloon if asked to."""
    (member,) = read_cluster(written(tmp_path, f'[vms.a]\nkernel = "{kernel}"\n{line}\n')).members
    assert member.virtual_machine.balloon is balloon
