// tag, untag, rm, prune and check: what happens to names and to what nobody names any more.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/text.hpp"
#include "cmd/berth-image/declare.hpp"

namespace berth::cmd {
namespace {

using image::ImageRecord;
using image::Reference;
using image::Store;

Result<int> tag(const Context& context, const std::vector<std::string>& words) {
  Store store = TRY(context.open_store());
  const ImageRecord source = TRY(store.get_image(words[0]));
  std::vector<Reference> targets;
  for (std::size_t i = 1; i < words.size(); ++i) {
    targets.push_back(TRY(Reference::parse(words[i])));
    if (targets.back().digest) {
      return fail(Code::InvalidArgument,
                  fmt::format("cannot tag as {}: a new name has a tag, not a digest", words[i]));
    }
  }
  for (const Reference& target : targets) TRY(store.set_image(target, source.manifest));
  return 0;
}

// The name as stored: an id cannot be untagged.
Result<ImageRecord> named_image(Store& store, const std::string& name) {
  ImageRecord record = TRY(store.get_image(name));
  const auto reference = Reference::parse(name);
  const bool by_name =
      reference && (record.name == reference->text() || record.name == "localhost/" + reference->familiar());
  if (by_name) return record;
  return fail(Code::InvalidArgument, fmt::format("{}: give the image's name, not its id", name));
}

Result<int> untag(const Context& context, const std::vector<std::string>& names) {
  Store store = TRY(context.open_store());
  for (const std::string& name : names) TRY(store.untag(TRY(named_image(store, name)).name));
  return 0;
}

std::vector<std::string> names_of(const std::vector<ImageRecord>& images, const image::Digest& manifest) {
  std::vector<std::string> names;
  for (const ImageRecord& image : images) {
    if (image.manifest.digest == manifest && !image.name.empty()) names.push_back(image.name);
  }
  return names;
}

// As `docker rmi`: a name is taken off; an id stands for the image, with all of its names only if forced.
Result<void> remove_one(Store& store, const std::string& word, bool force) {
  const ImageRecord record = TRY(store.get_image(word));
  const auto names = names_of(TRY(store.list_images()), record.manifest.digest);
  const bool by_name = named_image(store, word).has_value();
  if (!by_name && names.size() > 1 && !force) {
    return fail(Code::FailedPrecondition,
                fmt::format("image {} has several names ({}): use --force to remove them all", word,
                            join(names, ", ")));
  }
  const auto owners = TRY(store.pin_owners_of(record.manifest.digest));
  const bool last = !by_name || names.size() <= 1;
  if (last && !owners.empty() && !force) {
    return fail(Code::FailedPrecondition,
                fmt::format("image {} is in use by instance {}: remove that first, or use "
                            "--force to take the name off only",
                            word, owners[0].substr(0, 12)));
  }
  if (by_name) {
    TRY(store.remove_name(record.name));
  } else if (owners.empty()) {
    TRY(store.remove_image(record.manifest.digest));
  } else {
    for (const std::string& name : names) TRY(store.remove_name(name));
  }
  for (const std::string& name : by_name ? std::vector{record.name} : names)
    TRY(print(fmt::format("Untagged: {}\n", name)));
  // Another image may have the same configuration, and with it the id.
  const bool gone = last && owners.empty() && !TRY(store.find_image(record.config.text()));
  if (gone) TRY(print(fmt::format("Deleted: {}\n", record.config.text())));
  return {};
}

struct RmOptions {
  bool force = false;
  bool ignore = false;
  std::vector<std::string> names;
};

Result<int> rm(const Context& context, const RmOptions& options) {
  Store store = TRY(context.open_store());
  int code = 0;
  for (const std::string& name : options.names) {
    const auto removed = remove_one(store, name, options.force);
    if (removed || (options.ignore && removed.error().code == Code::NotFound)) continue;
    complain(removed.error());
    code = kSomeFailed;
  }
  TRY(store.gc());
  return code;
}

struct PruneOptions {
  bool all = false;
  bool force = false;
  std::vector<std::string> filters;
};

bool confirmed(const std::string& question) {
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return lower(trim(answer)) == "y" || lower(trim(answer)) == "yes";
}

Result<std::int64_t> parse_until(const std::vector<std::string>& filters) {
  using std::chrono::system_clock;
  constexpr std::string_view kUntil = "until=";
  std::int64_t before_ns = INT64_MAX;
  for (const std::string& filter : filters) {
    if (!filter.starts_with(kUntil)) {
      return fail(Code::InvalidArgument,
                  fmt::format("--filter {}: use until=DURATION or until=TIME", filter));
    }
    const std::string value = filter.substr(kUntil.size());
    auto when = parse_rfc3339(value);
    if (!when) when = system_clock::now() - TRY_DURING("--filter until", parse_duration(value));
    before_ns = std::min<std::int64_t>(
        before_ns, std::chrono::duration_cast<std::chrono::nanoseconds>(when->time_since_epoch()).count());
  }
  return before_ns;
}

Result<int> prune(const Context& context, const PruneOptions& options) {
  const std::int64_t before_ns = TRY(parse_until(options.filters));
  const std::string what = options.all ? "all images that no instance uses" : "all images without a name";
  if (!options.force && !confirmed(fmt::format("This removes {}. Go on?", what))) return 0;
  Store store = TRY(context.open_store());
  for (const ImageRecord& record : TRY(store.prune_images(options.all, before_ns))) {
    if (!record.name.empty()) {
      TRY(print(fmt::format("Untagged: {}\n", record.name)));
    } else if (!TRY(store.find_image(record.config.text()))) {  // no other image has the id
      TRY(print(fmt::format("Deleted: {}\n", record.config.text())));
    }
  }
  TRY(print(fmt::format("Total reclaimed space: {}\n", format_size(TRY(store.gc()).freed_bytes))));
  return 0;
}

Result<int> check(const Context& context) {
  Store store = TRY(context.open_store());
  const auto problems = TRY(store.check());
  for (const std::string& problem : problems) TRY(print(problem + "\n"));
  return problems.empty() ? 0 : kSomeFailed;
}

}  // namespace

Action declare_tag(CLI::App& app) {
  auto words = std::make_shared<std::vector<std::string>>();
  app.add_option("IMAGE NAME", *words, "The image, and one or more names for it")
      ->required()
      ->expected(2, 1000);
  return [words](const Context& context) { return tag(context, *words); };
}

Action declare_untag(CLI::App& app) {
  auto names = std::make_shared<std::vector<std::string>>();
  app.add_option("NAME", *names, "Names to take off")->required();
  return [names](const Context& context) { return untag(context, *names); };
}

Action declare_rm(CLI::App& app) {
  auto options = std::make_shared<RmOptions>();
  app.alias("remove");
  app.add_flag("-f,--force", options->force, "Also with several names, or in use by an instance");
  app.add_flag("-i,--ignore", options->ignore, "Images that are not there are no error");
  app.add_option("IMAGE", options->names, "Names or ids")->required();
  return [options](const Context& context) { return rm(context, *options); };
}

Action declare_prune(CLI::App& app) {
  auto options = std::make_shared<PruneOptions>();
  app.add_flag("-a,--all", options->all, "Also images that have names, if no instance uses them");
  app.add_flag("-f,--force", options->force, "Do not ask");
  app.add_option("--filter", options->filters, "until=DURATION or TIME: only what got its name before")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  return [options](const Context& context) { return prune(context, *options); };
}

Action declare_check(CLI::App&) {
  return [](const Context& context) { return check(context); };
}

}  // namespace berth::cmd
