#include "term/listing.hpp"

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "term/template.hpp"

namespace berth::term {
namespace {

constexpr std::size_t kGap = 3;
constexpr std::string_view kTablePrefix = "table ";

// What a terminal shows of UTF-8 text, near enough: code points. Wide and combining characters are rare in
// names.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string dump_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  // U+0080 to U+009F, the other control characters, are C2 80 to C2 9F.
  for (std::size_t i = 0; i + 1 < shown.size(); ++i) {
    if (shown[i] == '\xC2' && static_cast<unsigned char>(shown[i + 1]) < 0xA0) shown.replace(i, 2, "?");
  }
  return shown;
}

std::string align(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(printable(row[i])));
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = printable(row[i]);
      out += cell;
      if (i + 1 < row.size()) out.append(widths[i] - width_of(cell) + kGap, ' ');
    }
    out += '\n';
  }
  return out;
}

void Listing::add(std::vector<Cell> cells) {
  BERTH_ASSERT(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Listing::table() const {
  std::vector<std::vector<std::string>> lines(rows_.size() + 1);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].title.empty()) continue;
    lines[0].push_back(columns_[i].title);
    for (std::size_t j = 0; j < rows_.size(); ++j) lines[j + 1].push_back(rows_[j][i].text);
  }
  return align(lines);
}

Json Listing::json_of(const std::vector<Cell>& row) const {
  Json object = Json::object();
  for (std::size_t i = 0; i < columns_.size(); ++i) object[columns_[i].field] = row[i].json;
  return object;
}

Json Listing::texts_of(const std::vector<Cell>& row) const {
  Json object = Json::object();
  for (std::size_t i = 0; i < columns_.size(); ++i) object[columns_[i].field] = row[i].text;
  return object;
}

Result<std::string> Listing::by_template(std::string_view format, bool headings) const {
  const Template layout = TRY(Template::parse(format));
  std::vector<std::string> lines;
  if (headings) {
    Json titles = Json::object();
    for (const Column& column : columns_) {
      if (!column.title.empty()) titles[column.field] = column.title;
    }
    lines.push_back(layout.headings(titles));
  }
  for (const auto& row : rows_) lines.push_back(TRY(layout.render(json_of(row), texts_of(row))));
  if (!headings) return lines.empty() ? std::string() : join(lines, "\n") + "\n";
  std::vector<std::vector<std::string>> cells;
  for (const std::string& line : lines) cells.push_back(split(line, '\t'));
  return align(cells);
}

Result<std::string> Listing::render(std::string_view format) const {
  if (format.empty() || format == "table") return table();
  if (format.starts_with(kTablePrefix)) return by_template(format.substr(kTablePrefix.size()), true);
  if (format != "json") return by_template(format, false);
  Json array = Json::array();
  for (const auto& row : rows_) array.push_back(json_of(row));
  return dump_pretty(array);
}

Result<std::string> render_document(const Json& value, std::string_view format) {
  if (format.empty() || format == "json" || format == "table") return dump_pretty(value);
  const Template layout = TRY(Template::parse(format));
  return TRY(layout.render(value, Json::object())) + "\n";
}

}  // namespace berth::term
