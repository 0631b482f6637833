// What a registry, a token service or an auth file may say, thrown at every parser of this room.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "image/registry/auth_file.hpp"
#include "image/registry/authenticator.hpp"
#include "image/registry/challenge.hpp"
#include "image/registry/credential_helper.hpp"
#include "image/registry/registry_error.hpp"

using namespace berth::image::registry;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 5) {
    case 0:
      for (const Challenge& challenge : parse_challenges(text)) BERTH_ASSERT(!challenge.scheme.empty());
      break;
    case 1:
      if (const auto file = AuthFile::parse(text, "auth.json")) {
        (void)file->find("registry.example:5000", "a/b/c");
        (void)file->helper_for("registry.example:5000");
      }
      break;
    case 2:
      if (const auto answer = TokenAnswer::parse(text)) BERTH_ASSERT(!answer->token.empty());
      break;
    case 3: {
      Response response;
      response.status = 400;
      response.body = text;
      BERTH_ASSERT(status_error(response, "x").message.size() < 2000);
      break;
    }
    default:
      if (const auto base = Url::parse("https://registry.example/v2/")) (void)base->resolve(text);
      (void)parse_helper_answer(text, "helper");
  }
  return 0;
}
