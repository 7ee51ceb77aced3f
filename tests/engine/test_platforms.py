"""The platform of a result has the CPU family, by which linear algebra chooses instructions."""

from pathlib import Path

from mlnb.engine.platforms import cpu_family, platform_name


def test_the_platform_names_system_architecture_and_cpu_family(tmp_path: Path) -> None:
    (file := tmp_path / "cpuinfo").write_text("processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\n\n")
    assert cpu_family(file) == ("GenuineIntel", "6")
    file.write_text("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n\n")
    assert cpu_family(file) == ("0x41", "0xd0c")
    assert len(cpu_family(tmp_path / "none")) == 1
    assert len(platform_name().split("-")) >= 3 and "/" not in platform_name() and " " not in platform_name()
