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
    Command{"run", kInstances, "Create an instance of an image and start it", declare_run,
            Operands::EndOptions},
    Command{"create", kInstances, "Create an instance without starting it", declare_create,
            Operands::EndOptions},
    Command{"start", kInstances, "Start instances", declare_start},
    Command{"stop", kInstances, "Stop instances, by force after a while", declare_stop},
    Command{"restart", kInstances, "Stop instances and start them again", declare_restart},
    Command{"kill", kInstances, "Send a signal to instances", declare_kill},
    Command{"pause", kInstances, "Freeze all processes of instances", declare_pause},
    Command{"unpause", kInstances, "Let paused instances go on", declare_unpause},
    Command{"wait", kInstances, "Wait for instances to end; print their exit codes", declare_wait},
    Command{"rm", kInstances, "Remove instances", declare_rm},
    Command{"rename", kInstances, "Give an instance another name", declare_rename},
    Command{"update", kInstances, "Change an instance's limits, also while it runs", declare_update},
    Command{"attach", kInstances, "Connect to a running instance's streams", declare_attach},
    Command{"exec", kInstances, "Run one more program in a running instance", declare_exec,
            Operands::EndOptions},
    Command{"ps", kLooking, "List instances", declare_ps},
    Command{"inspect", kLooking, "Show all that is known of instances", declare_inspect},
    Command{"logs", kLooking, "Show what an instance has written", declare_logs},
    Command{"top", kLooking, "List an instance's processes", declare_top},
    Command{"stats", kLooking, "Show what instances use", declare_stats},
    Command{"events", kLooking, "Show what happens to instances", declare_events},
    Command{"doctor", kBerth, "Show what this machine can run, and why not", declare_doctor},
    Command{"version", kBerth, "Show berth's version", declare_version},
    Command{"completion", kBerth, "Print a completion script for bash, zsh or fish", declare_completion},
    Command{.name = "kernel",
            .group = kImages,
            .summary = "Work with the kernels of virtual machines (add, ls, default, rm)",
            .forward = "kernel"},
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
