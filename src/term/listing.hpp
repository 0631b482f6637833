// Rows of values, printed as --format asks: a table for people, JSON for programs, or a template's line for
// each row.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.hpp"
#include "base/result.hpp"

namespace berth::term {

struct Column {
  std::string field;  // the name in JSON and templates: "Repository"
  std::string title;  // the table's heading: "REPOSITORY"; "" where the table leaves it out
};

struct Cell {
  Cell(std::string value) : json(value), text(std::move(value)) {}
  Cell(const char* value) : Cell(std::string(value)) {}
  Cell(Json value, std::string shown) : json(std::move(value)), text(std::move(shown)) {}
  Json json;         // for programs: bytes, full ids
  std::string text;  // for people: "4.3 MiB"
};

class Listing {
 public:
  explicit Listing(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> cells);  // one for each column

  // `format`: "" or "table", "json" (one array), "table TEMPLATE" (with headings) or a template. Lines end in
  // \n.
  Result<std::string> render(std::string_view format) const;

 private:
  std::string table() const;
  Json json_of(const std::vector<Cell>& row) const;
  Json texts_of(const std::vector<Cell>& row) const;
  Result<std::string> by_template(std::string_view format, bool headings) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// Columns that begin at the same position in each line, three blanks apart. Control characters (of labels,
// names, ...) are shown as '?', so that no image can play tricks on a terminal.
std::string align(const std::vector<std::vector<std::string>>& rows);

// The text without control characters, for messages that quote what strangers wrote.
std::string printable(std::string_view text);

// One document (as `inspect` prints), by "json" or "" (indented) or a template.
Result<std::string> render_document(const Json& value, std::string_view format);

}  // namespace berth::term
