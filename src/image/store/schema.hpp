// The tables of the image store, and small helpers that its files share.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "db/database.hpp"
#include "sys/fd.hpp"

namespace berth::image {

// `used_ns` is when a lease's owner last wrote or found the content: gc() keeps what is younger than a live
// lease. A row of `manifests` is an image; rows of `images` are its names.
inline const db::Database::Schema kSchema{"images", {R"(
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY, size INTEGER NOT NULL, used_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE layers (
  chain_id TEXT PRIMARY KEY, diff_id TEXT NOT NULL, size_bytes INTEGER NOT NULL, used_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE manifests (
  digest TEXT PRIMARY KEY, media_type TEXT NOT NULL, size INTEGER NOT NULL, config TEXT NOT NULL,
  created_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX manifests_by_config ON manifests (config);
CREATE TABLE manifest_layers (
  manifest TEXT NOT NULL REFERENCES manifests (digest) ON DELETE CASCADE, position INTEGER NOT NULL,
  blob TEXT NOT NULL, diff_id TEXT NOT NULL, chain_id TEXT NOT NULL, PRIMARY KEY (manifest, position)) WITHOUT ROWID;
CREATE TABLE images (
  name TEXT PRIMARY KEY, manifest TEXT NOT NULL REFERENCES manifests (digest), created_ns INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE INDEX images_by_manifest ON images (manifest);
CREATE TABLE pins (
  owner TEXT NOT NULL, manifest TEXT NOT NULL REFERENCES manifests (digest), PRIMARY KEY (owner, manifest))
  WITHOUT ROWID;
CREATE INDEX pins_by_manifest ON pins (manifest);
)"}};

inline std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Names of a directory's entries, without "." and "..".
Result<std::vector<std::string>> list_directory(const std::string& path);

// An exclusive lock on what `path` names, made as an empty file if absent. Others may remove a locked entry
// while we wait for it: the lock returned is always on what the path names now.
Result<sys::Fd> lock_entry(const std::string& path);
// Waits as well, but makes nothing: empty where nothing is there.
Result<sys::Fd> lock_existing(const std::string& path);
// Empty where somebody else holds it or nothing is there.
Result<sys::Fd> try_lock_entry(const std::string& path);

}  // namespace berth::image
