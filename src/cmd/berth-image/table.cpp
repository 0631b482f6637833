// Every command, in the order in which --help lists them.
#include <array>

#include "cmd/berth-image/declare.hpp"

namespace berth::cmd {
namespace {

constexpr std::array kCommands = {
    Command{"pull", "Fetch images from a registry", declare_pull},
    Command{"push", "Send an image to a registry", declare_push},
    Command{"login", "Keep a registry's credentials", declare_login},
    Command{"logout", "Forget a registry's credentials", declare_logout},
    Command{"ls", "List images", declare_ls},
    Command{"rm", "Remove images", declare_rm},
    Command{"tag", "Give an image more names", declare_tag},
    Command{"untag", "Take names off images", declare_untag},
    Command{"inspect", "Show what images say about themselves, as JSON", declare_inspect},
    Command{"history", "Show how an image was made", declare_history},
    Command{"save", "Write images to an archive or an OCI layout", declare_save},
    Command{"load", "Read images from an archive or an OCI layout", declare_load},
    Command{"import", "Make an image of the tar of a root directory", declare_import},
    Command{"export", "Write an image's whole root directory as a tar", declare_export},
    Command{"unpack", "Make an image's layers ready to run from", declare_unpack},
    Command{"prune", "Remove unused images and what belongs to none", declare_prune},
    Command{"kernel", "Work with the kernels that virtual machines boot", declare_kernel},
    Command{"check", "Verify the whole image store", declare_check},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

}  // namespace berth::cmd
