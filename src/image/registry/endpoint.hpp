// A registry as a place on the network: its address and how its certificate is checked.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/registry/http.hpp"
#include "image/registry/url.hpp"

namespace berth::image::registry {

// What a person may say about reaching registries.
struct AccessOptions {
  bool plain_http = false;                       // --plain-http: no TLS for the registry of this command
  std::vector<std::string> insecure_registries;  // --insecure-registry HOST[:PORT]: no TLS for this one
  bool verify_tls = true;                        // --tls-verify
  std::string cert_dir;                          // --cert-dir; "" for the usual places
  std::string auth_file;                         // --authfile
  std::string credentials;                       // --creds USER:PASSWORD
};

struct Endpoint {
  Url base;  // "https://registry-1.docker.io"
  TlsOptions tls;
};

// `registry` as in Reference::registry. Docker's Hub answers at registry-1.docker.io. Plain HTTP only where
// it was asked for, on the loopback too. Certificates come from --cert-dir, else from HOST[:PORT]/ below
// ~/.config/containers/certs.d, /etc/containers/certs.d and /etc/docker/certs.d: *.crt are authorities,
// NAME.cert with NAME.key says who we are.
Result<Endpoint> find_endpoint(const std::string& registry, const AccessOptions& options);

}  // namespace berth::image::registry
