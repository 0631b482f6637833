#include "image/registry/endpoint.hpp"

#include <dirent.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "sys/fd.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxCertificateBytes = 1 << 20;

std::vector<std::string> usual_cert_dirs(const std::string& registry) {
  std::vector<std::string> dirs;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    dirs.push_back(fmt::format("{}/.config/containers/certs.d/{}", home, registry));
  }
  dirs.push_back("/etc/containers/certs.d/" + registry);
  dirs.push_back("/etc/docker/certs.d/" + registry);
  return dirs;
}

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Result<std::vector<std::string>> file_names(const std::string& path) {
  const std::unique_ptr<DIR, DirCloser> dir(::opendir(path.c_str()));
  if (!dir) return fail_errno(fmt::format("cannot read the certificate directory {}", path));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> take_certificates(const std::string& dir, TlsOptions& tls) {
  for (const std::string& name : TRY(file_names(dir))) {
    const std::string path = dir + "/" + name;
    if (name.ends_with(".crt"))
      tls.extra_authorities += TRY(sys::read_file(path, kMaxCertificateBytes)) + "\n";
    if (!name.ends_with(".cert")) continue;
    const std::string key = path.substr(0, path.size() - 5) + ".key";
    if (!sys::exists(key)) {
      return fail(Code::FailedPrecondition, fmt::format("client certificate {} has no key {}", path, key));
    }
    tls.client_certificate = path;
    tls.client_key = key;
  }
  return {};
}

Result<TlsOptions> tls_options(const std::string& registry, const AccessOptions& options) {
  TlsOptions tls;
  tls.verify = options.verify_tls;
  if (!options.cert_dir.empty()) {
    TRY_DURING("--cert-dir", take_certificates(options.cert_dir, tls));
    return tls;
  }
  for (const std::string& dir : usual_cert_dirs(registry)) {
    if (sys::exists(dir)) TRY(take_certificates(dir, tls));
  }
  return tls;
}

}  // namespace

Result<Endpoint> find_endpoint(const std::string& registry, const AccessOptions& options) {
  const auto& insecure = options.insecure_registries;
  const bool plain =
      options.plain_http || std::find(insecure.begin(), insecure.end(), registry) != insecure.end();
  const std::string host = registry == "docker.io" ? "registry-1.docker.io" : registry;
  Endpoint endpoint;
  endpoint.base = TRY(Url::parse(fmt::format("{}://{}", plain ? "http" : "https", host)));
  if (!plain) endpoint.tls = TRY(tls_options(registry, options));
  return endpoint;
}

}  // namespace berth::image::registry
