// Every command, in the order in which --help lists them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "cmd/berth/command.hpp"
#include "cmd/berth/declare.hpp"

namespace berth::cmd {
namespace {

constexpr std::string_view kInstances = "Instances";
constexpr std::string_view kLooking = "Looking";
constexpr std::string_view kImages = "Images";
constexpr std::string_view kBerth = "Berth";

constexpr std::array kCommands = {
    Command{"doctor", kBerth, "Show what this machine can run, and why not", declare_doctor},
    Command{"version", kBerth, "Show berth's version", declare_version},
    Command{"completion", kBerth, "Print a completion script for bash, zsh or fish", declare_completion},
    Command{.name = "image",
            .group = kImages,
            .summary = "Work with images (image --help lists how)",
            .forward = "*"},
    Command{.name = "pull", .group = kImages, .summary = "Fetch an image from a registry", .forward = "pull"},
    Command{.name = "push", .group = kImages, .summary = "Send an image to a registry", .forward = "push"},
    Command{.name = "images", .group = kImages, .summary = "List images", .forward = "ls"},
    Command{.name = "rmi", .group = kImages, .summary = "Remove images", .forward = "rm"},
    Command{.name = "tag", .group = kImages, .summary = "Give an image one more name", .forward = "tag"},
    Command{
        .name = "history", .group = kImages, .summary = "Show how an image was made", .forward = "history"},
    Command{.name = "save", .group = kImages, .summary = "Write images to an archive", .forward = "save"},
    Command{.name = "load", .group = kImages, .summary = "Read images from an archive", .forward = "load"},
    Command{
        .name = "import", .group = kImages, .summary = "Make an image of a root tar", .forward = "import"},
    Command{
        .name = "login", .group = kImages, .summary = "Keep a registry's credentials", .forward = "login"},
    Command{.name = "logout",
            .group = kImages,
            .summary = "Forget a registry's credentials",
            .forward = "logout"},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  const auto* found =
      std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& row) { return row.name == name; });
  return found == kCommands.end() ? nullptr : found;
}

}  // namespace berth::cmd
