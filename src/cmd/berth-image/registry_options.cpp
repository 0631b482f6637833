#include "cmd/berth-image/registry_options.hpp"

#include <CLI/CLI.hpp>

namespace berth::cmd {

using image::registry::BlobOutcome;

void add_access_options(CLI::App& app, image::registry::AccessOptions& access) {
  app.add_flag("--tls-verify,!--no-tls-verify", access.verify_tls,
               "Check the registry's certificate (default: true)");
  app.add_flag("--plain-http", access.plain_http, "Talk to the registry without TLS");
  app.add_option("--insecure-registry", access.insecure_registries,
                 "Talk to this registry without TLS; repeatable")
      ->type_name("HOST[:PORT]")
      ->allow_extra_args(false);
  app.add_option("--cert-dir", access.cert_dir,
                 "Directory with *.crt (authorities), *.cert and *.key (client)")
      ->type_name("DIR");
  app.add_option("--authfile", access.auth_file,
                 "File that holds credentials, in Docker's and Podman's format")
      ->type_name("FILE");
}

void add_credentials_option(CLI::App& app, image::registry::AccessOptions& access) {
  app.add_option("--creds", access.credentials, "Credentials to use instead of those in files")
      ->type_name("USER:PASSWORD");
}

Result<image::Reference> parse_remote_name(std::string_view name) {
  constexpr std::string_view kTransport = "docker://";
  if (name.starts_with(kTransport)) name.remove_prefix(kTransport.size());
  return image::Reference::parse(name);
}

std::size_t BlobProgress::task_of(const image::Descriptor& blob) {
  const auto found = tasks_.find(blob.digest);
  if (found != tasks_.end()) return found->second;
  const std::size_t task = progress_.add(blob.digest.short_id(), verb_, blob.size);
  tasks_.emplace(blob.digest, task);
  return task;
}

void BlobProgress::moved(const image::Descriptor& blob, std::uint64_t done) {
  progress_.set(task_of(blob), done);
}

void BlobProgress::finished(const image::Descriptor& blob, BlobOutcome outcome) {
  const std::size_t task = task_of(blob);
  switch (outcome) {
    case BlobOutcome::Transferred:
      return progress_.finish(task, "done");
    case BlobOutcome::Present:
      return progress_.finish(task, "already there");
    case BlobOutcome::Mounted:
      return progress_.finish(task, "shared from another repository");
  }
}

void BlobProgress::note(const std::string& message) { progress_.message(message); }

}  // namespace berth::cmd
