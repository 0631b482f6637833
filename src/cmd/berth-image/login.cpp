// login and logout: what the auth files know.
#include "image/registry/login.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/text.hpp"
#include "cmd/berth-image/declare.hpp"
#include "cmd/berth-image/registry_options.hpp"
#include "image/registry/auth_file.hpp"
#include "sys/prompt.hpp"

namespace berth::cmd {
namespace {

using image::registry::AccessOptions;
using image::registry::Credentials;

constexpr std::size_t kMaxPasswordBytes = 64 << 10;

struct Options {
  std::string registry = "docker.io";
  AccessOptions access;
  std::string username;
  std::string password;
  bool password_stdin = false;
  bool all = false;
};

Result<std::string> password_from_stdin() {
  std::string text = TRY_DURING("--password-stdin", sys::read_all(STDIN_FILENO, kMaxPasswordBytes));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) return fail(Code::InvalidArgument, "--password-stdin: standard input is empty");
  return text;
}

Result<Credentials> ask_credentials(const Options& options) {
  Credentials credentials;
  credentials.username = options.username;
  if (options.password_stdin && credentials.username.empty()) {
    return fail(Code::InvalidArgument, "--password-stdin needs --username");
  }
  if (credentials.username.empty()) credentials.username = TRY(sys::ask("Username: ", true));
  if (credentials.username.empty() || credentials.username.find(':') != std::string::npos) {
    return fail(Code::InvalidArgument, "a user name may not be empty or have a ':' in it");
  }
  if (options.password_stdin) {
    credentials.password = TRY(password_from_stdin());
  } else {
    credentials.password = options.password.empty() ? TRY(sys::ask("Password: ", false)) : options.password;
  }
  return credentials;
}

Result<int> login(Options options) {
  using namespace image::registry;
  const std::string path = TRY(auth_file_to_write(options.access.auth_file));
  const Credentials credentials = TRY(ask_credentials(options));
  const std::string key = registry_key(options.registry);
  const std::string host = key.substr(0, key.find('/'));
  options.access.credentials = credentials.username + ":" + credentials.password;
  TRY(check_login(host, options.access));
  TRY_DURING("cannot keep the credentials in " + path, store_credentials(path, key, credentials));
  TRY(print("Login Succeeded!\n"));
  return 0;
}

Result<int> logout(const Options& options) {
  using namespace image::registry;
  const std::string path = TRY(auth_file_to_write(options.access.auth_file));
  const std::string attempt = "cannot change " + path;
  if (options.all) {
    TRY_DURING(attempt, erase_all_credentials(path));
    TRY(print("Removed the credentials of all registries\n"));
    return 0;
  }
  if (!TRY_DURING(attempt, erase_credentials(path, options.registry))) {
    return fail(Code::NotFound,
                fmt::format("not logged in to {}: {} has no entry for it", options.registry, path));
  }
  TRY(print(fmt::format("Removed the credentials of {}\n", options.registry)));
  return 0;
}

}  // namespace

Action declare_login(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_access_options(app, options->access);
  app.add_option("-u,--username", options->username, "User name (default: asked for)")->type_name("NAME");
  auto* password = app.add_option("-p,--password", options->password,
                                  "Password; others can see it, --password-stdin is better");
  app.add_flag("--password-stdin", options->password_stdin, "Read the password from standard input")
      ->excludes(password);
  app.add_option("REGISTRY", options->registry, "HOST[:PORT] (default: docker.io)");
  return [options](const Context&) { return login(*options); };
}

Action declare_logout(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--authfile", options->access.auth_file, "File that holds the credentials")
      ->type_name("FILE");
  app.add_flag("-a,--all", options->all, "Of all registries");
  app.add_option("REGISTRY", options->registry, "HOST[:PORT] (default: docker.io)");
  return [options](const Context&) { return logout(*options); };
}

}  // namespace berth::cmd
