"""`linux.maskedPaths` and `linux.readonlyPaths`."""


def test_a_masked_file_is_empty(container):
    (container.rootfs / "etc/secret").write_text("secret")
    container.linux["maskedPaths"] = ["/etc/secret"]
    assert container.output("cat", "/etc/secret") == ""


def test_a_masked_directory_is_empty(container):
    (container.rootfs / "etc/deep").mkdir()
    (container.rootfs / "etc/deep/secret").write_text("secret")
    container.linux["maskedPaths"] = ["/etc/deep"]
    assert container.shell("ls /etc/deep; touch /etc/deep/made 2>&1 || true; ls /etc/deep").count("secret") == 0
    assert not (container.rootfs / "etc/deep/made").exists()


def test_masks_that_are_not_there_are_passed_over(container):
    container.linux["maskedPaths"] = ["/proc/absent", "/absent"]
    container.run("true")


def test_without_masks_all_is_seen(container):
    container.linux["maskedPaths"] = []
    assert container.shell("head -c 1 /proc/timer_list | wc -c").strip() == "1"


def test_masks_of_proc(container):
    assert container.shell("wc -c </proc/timer_list").strip() == "0"


def test_a_read_only_path(container):
    (container.rootfs / "etc/deep").mkdir()
    container.linux["readonlyPaths"] = ["/etc/deep"]
    assert "Read-only" in container.run("touch", "/etc/deep/made", code=1).stderr
    container.run("touch", "/etc/made")


def test_a_read_only_file(container):
    container.linux["readonlyPaths"] = ["/etc/passwd"]
    container.run("sh", "-c", "echo x >>/etc/passwd", code=1)


def test_read_only_paths_of_proc(container):
    assert "Read-only" in container.run("sh", "-c", "echo 1 >/proc/sys/kernel/panic_on_oops", code=1).stderr


def test_read_only_paths_that_are_not_there_are_passed_over(container):
    container.linux["readonlyPaths"] = ["/proc/absent", "/absent"]
    container.run("true")


def test_read_only_paths_can_be_read(container):
    container.run("cat", "/proc/sys/kernel/ostype")
