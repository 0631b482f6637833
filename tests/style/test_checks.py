"""The style checks find what they are there to find, and leave good code alone."""
import checks
import pytest


def texts(violations):
    return [violation.text for violation in violations]


@pytest.mark.parametrize("path,include,allowed", [
    ("src/base/text.cpp", "base/text.hpp", True),
    ("src/base/text.cpp", "sys/fd.hpp", False),
    ("src/db/database.cpp", "sys/fd.hpp", False),          # a neighbour on the same floor
    ("src/image/model/digest.cpp", "image/store/store.hpp", False),
    ("src/image/store/store.cpp", "image/model/digest.hpp", True),
    ("src/image/store/store.cpp", "image/layer/layer.hpp", False),
    ("src/isolate/plan.cpp", "image/store/store.hpp", True),
    ("src/unit/container/container.cpp", "node/store.hpp", False),
    ("src/unit/container/container.cpp", "unit/unit.hpp", True),
    ("src/cmd/berth/run.cpp", "cmd/berth-image/pull.hpp", False),
    ("src/node/run.cpp", "run.hpp", False),                # not from src/
])
def test_includes(path, include, allowed):
    assert (not checks.check_includes(path, f'#include "{include}"\n')) == allowed


def test_an_unknown_room_is_found():
    assert "has no floor" in texts(checks.check_includes("src/attic/x.cpp", ""))[0]


@pytest.mark.parametrize("code,found", [
    ('::mount("a", "b", "c", 0, nullptr);', True),
    ("if (::ioctl(fd, 1) < 0) return;", True),
    ("syscall(SYS_clone3, &args);", True),
    ("return setns(fd, 0);", True),
    ("::prctl(PR_SET_NO_NEW_PRIVS, 1);", True),
    ("sys::mount(plan);", False),
    ("root.mount(plan);", False),
    ("TRY(sys::unshare(flags));", False),
    ("plan->setns(fd);", False),
    ('log::info("do not call ::mount() here");  // nor syscall(1)', False),
])
def test_raw_calls(code, found):
    assert bool(checks.check_raw_calls("src/unit/x.cpp", code)) == found
    assert not checks.check_raw_calls("src/sys/x.cpp", code)
    assert not checks.check_raw_calls("src/unit/x_test.cpp", code)


@pytest.mark.parametrize("code,found", [
    ("strcpy(to, from);", True),
    ("std::system(command);", True),
    ("int n = atoi(text);", True),
    ("using namespace std;", True),
    ("// TODO: later", True),
    ("/* FIXME */", True),
    ("TRY(file_system(path));", False),
    ("operand(x); brand(y);", False),
    ('const char* text = "system(1)";', False),
])
def test_banned(code, found):
    assert bool(checks.check_banned("src/base/x.cpp", code)) == found


def body(lines: int, head: str = "Result<void> Store::open(const std::string& path)") -> str:
    return f"namespace berth {{\n{head} {{\n" + "  int x = 1;\n" * (lines - 2) + "}\n}  // namespace berth\n"


def test_function_length():
    assert not checks.check_sizes("src/base/x.cpp", body(checks.MAX_FUNCTION_LINES))
    found = checks.check_sizes("src/base/x.cpp", body(checks.MAX_FUNCTION_LINES + 1))
    assert texts(found) == [f"Store::open has {checks.MAX_FUNCTION_LINES + 1} lines; a function has at most 70"]
    assert found[0].line == 2


@pytest.mark.parametrize("head", [
    "static int f(int a,\n             int b) noexcept", "Type::Type(int a) : a_(a), b_(2)", "TEST(Suite, Name)",
    "bool operator==(const A& a, const A& b)", "template <typename T>\nauto f(T t) -> decltype(t)", "A::~A()"])
def test_function_heads_are_recognised(head):
    assert len(checks.check_sizes("src/base/x.cpp", body(80, head))) == 1


@pytest.mark.parametrize("head", ["struct Row", "class X : public Y", "constexpr Row kTable[] =", "enum class Kind",
                                  "const std::map<int, Row> kRows ="])
def test_tables_and_types_may_be_long(head):
    assert not checks.check_sizes("src/base/x.cpp", f"{head} {{\n" + "  {1, 2},\n" * 100 + "};\n")


def test_a_lambda_counts_for_its_function():
    lambda_lines = "  auto go = [&](int x) {\n" + "    x++;\n" * 80 + "  };\n"
    assert len(checks.check_sizes("src/base/x.cpp", f"void f() {{\n{lambda_lines}}}\n")) == 1


def test_braces_in_strings_and_comments_do_not_confuse():
    text = 'void f() {\n  g("{{{", \'{\', R"x({ " {)x");  // {\n  /* { */\n}\nvoid h() {\n}\n'
    assert [(name, length) for name, _, length in checks.functions(text)] == [("f", 4), ("h", 2)]


def test_file_length():
    assert not checks.check_sizes("src/base/x.cpp", "int x;\n" * 600)
    assert len(checks.check_sizes("src/base/x.cpp", "int x;\n" * 601)) == 1


def test_headers():
    assert texts(checks.check_header("src/base/x.hpp", "int x;\n")) == ["a header says #pragma once"]
    assert not checks.check_header("src/base/x.hpp", "#pragma once\n")


def test_pairs():
    assert not checks.check_pairs({"src/base/text.hpp", "src/base/text.cpp", "src/base/text_test.cpp"})
    assert not checks.check_pairs({"src/base/text.hpp", "src/base/text_sizes_test.cpp"})
    assert not checks.check_pairs({"src/node/log_line.cpp", "src/node/log_test.cpp"})
    assert not checks.check_pairs({"src/term/listing.hpp", "src/term/term_test.cpp"})
    assert len(checks.check_pairs({"src/base/other.hpp", "src/base/text_test.cpp"})) == 1
