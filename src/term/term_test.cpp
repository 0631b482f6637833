#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "base/json_value.hpp"
#include "term/listing.hpp"
#include "term/progress.hpp"
#include "term/template.hpp"

namespace berth::term {
namespace {

Listing sample() {
  Listing listing({{"Name", "NAME"}, {"Size", "SIZE"}, {"Digest", ""}});
  listing.add({"a", Cell(Json(2048), "2.00 KiB"), "sha256:1"});
  listing.add({"longer", Cell(Json(1), "1 B"), "sha256:2"});
  return listing;
}

TEST(Listing, TablesAlign) {
  EXPECT_EQ(*sample().render(""), "NAME     SIZE\na        2.00 KiB\nlonger   1 B\n");
}

TEST(Listing, JsonHasEveryFieldUnrounded) {
  const Json json = Json::parse(*sample().render("json"));
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0]["Size"], 2048);
  EXPECT_EQ(json[1]["Digest"], "sha256:2");
}

TEST(Listing, TemplatesPrintALineEach) {
  EXPECT_EQ(*sample().render("{{.Name}}\\t{{.Size}}"), "a\t2.00 KiB\nlonger\t1 B\n");
  EXPECT_EQ(*sample().render("{{json .Size}} {{upper .Name}}"), "2048 A\n1 LONGER\n");
  EXPECT_EQ(*sample().render("table {{.Name}}\\t{{.Digest}}"),
            "NAME     DIGEST\na        sha256:1\nlonger   sha256:2\n");
  EXPECT_EQ(*Listing(std::vector<Column>{{"Name", "NAME"}}).render("{{.Name}}"), "");
}

TEST(Listing, NoRowPlaysTricksOnTheTerminal) {
  Listing listing(std::vector<Column>{{"Name", "NAME"}});
  listing.add({"a\x1b[2Jb\n\xC2\x9B"});
  EXPECT_EQ(*listing.render(""), "NAME\na?[2Jb??\n");
}

TEST(Template, ReadsNestedFields) {
  const Json value = {{"State", {{"Status", "running"}, {"Pid", 7}, {"Oom", false}}}, {"Args", {"a", "b"}}};
  EXPECT_EQ(*render_document(value, "{{.State.Status}} {{.State.Pid}} {{ .State.Oom }}"),
            "running 7 false\n");
  EXPECT_EQ(*render_document(value, "{{json .Args}}{{len .Args}}"), "[\"a\",\"b\"]2\n");
  EXPECT_EQ(*render_document(value, "{{.Args}}"), "[\"a\",\"b\"]\n");
}

TEST(Template, SaysWhatIsWrong) {
  EXPECT_EQ(render_document(Json::object(), "{{.Nope.X}}").error().message,
            "--format: there is no field .Nope.X");
  for (const char* bad :
       {"{{", "{{.A", "{{A}}", "{{range .A}}", "{{.A | json}}", "{{.A..B}}", "{{}}", "{{json}}"}) {
    const auto result = Template::parse(bad);
    ASSERT_FALSE(result.has_value()) << bad;
    EXPECT_EQ(result.error().code, Code::InvalidArgument);
  }
}

std::string output_of(Progress::Mode mode) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  {
    Progress progress(mode, ends[1], 80);
    const auto task = progress.add("layer", "Fetching", 1000);
    progress.advance(task, 500);
    progress.message("note");
    progress.finish(task, "done");
  }
  ::close(ends[1]);
  std::string text(65536, '\0');
  const ssize_t count = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

TEST(Progress, FitsItsAudience) {
  EXPECT_EQ(output_of(Progress::Mode::Quiet), "");
  EXPECT_EQ(output_of(Progress::Mode::Lines), "note\nlayer: done\n");
  const std::string bars = output_of(Progress::Mode::Bars);
  EXPECT_NE(bars.find("500 B / 0.98 KiB"), std::string::npos) << bars;
  EXPECT_NE(bars.find("done"), std::string::npos);
}

}  // namespace
}  // namespace berth::term
