#include "image/registry/login.hpp"

#include <fmt/core.h>

#include "image/registry/client.hpp"

namespace berth::image::registry {

Result<void> check_login(const std::string& registry, const AccessOptions& options) {
  const std::string attempt = "cannot log in to " + registry;
  Client client(TRY_DURING(attempt, Session::open(registry, "", options)));
  Request request;
  request.url = TRY(client.api(""));
  const Response response = TRY_DURING(attempt, client.exchange(request, {}));
  if (response.status == 200) return {};
  if (response.status == 401)
    return fail(Code::Unauthenticated, attempt + ": it did not accept the credentials");
  return client.refusal(response, attempt);
}

}  // namespace berth::image::registry
