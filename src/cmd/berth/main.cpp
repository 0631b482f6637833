#include "cmd/berth/command.hpp"

int main(int argc, char** argv) { return berth::cmd::run_command_line({argv + 1, argv + argc}); }
