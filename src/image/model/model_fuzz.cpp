// Feeds hostile bytes to every document reader and to the name parser. What is accepted must survive being
// written and read again unchanged: otherwise two tools could see two images behind one digest.
#include "base/result.hpp"
#include "image/model/manifest.hpp"
#include "image/model/reference.hpp"

namespace {

using namespace berth::image;

template <typename Document>
void round_trip(std::string_view text) {
  const auto document = Document::parse(text);
  if (!document) return;
  const std::string written = document->dump();
  const auto again = Document::parse(written);
  BERTH_ASSERT(again.has_value());
  BERTH_ASSERT(again->dump() == written);
}

void round_trip_reference(std::string_view text) {
  const auto reference = Reference::parse(text);
  if (!reference) return;
  for (const std::string& form : {reference->text(), reference->familiar()}) {
    const auto again = Reference::parse(form);
    BERTH_ASSERT(again.has_value() && again->text() == reference->text());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      round_trip<Manifest>(text);
      break;
    case 1:
      round_trip<Index>(text);
      break;
    case 2:
      round_trip<ImageConfig>(text);
      break;
    default:
      round_trip_reference(text);
      break;
  }
  return 0;
}
