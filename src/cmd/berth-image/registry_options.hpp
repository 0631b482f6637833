// The options of the commands that talk to registries, and how their work is shown.
#pragma once

#include <map>

#include "cmd/berth-image/command.hpp"
#include "image/registry/endpoint.hpp"
#include "image/registry/transfer.hpp"

namespace berth::cmd {

// --tls-verify, --plain-http, --insecure-registry, --cert-dir, --authfile and, except for login, --creds.
void add_access_options(CLI::App& app, image::registry::AccessOptions& access);
void add_credentials_option(CLI::App& app, image::registry::AccessOptions& access);

// A name as typed; Podman's and skopeo's "docker://" before it is passed over.
Result<image::Reference> parse_remote_name(std::string_view name);

// One bar or line for each blob.
class BlobProgress : public image::registry::TransferObserver {
 public:
  BlobProgress(term::Progress& progress, std::string verb) : progress_(progress), verb_(std::move(verb)) {}
  void moved(const image::Descriptor& blob, std::uint64_t done) override;
  void finished(const image::Descriptor& blob, image::registry::BlobOutcome outcome) override;
  void note(const std::string& message) override;

 private:
  std::size_t task_of(const image::Descriptor& blob);
  term::Progress& progress_;
  const std::string verb_;
  std::map<image::Digest, std::size_t> tasks_;
};

}  // namespace berth::cmd
