// SPDX-License-Identifier: MIT
// selgate-train: runs the multi-task experiments of the DSelect-k paper (Hazimeh et al., 2021).

#include "instructions.hpp"
#include "many_experts.hpp"
#include "multi_fashion.hpp"
#include "synthetic_tasks.hpp"
#include "table.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace selgate::examples {

/// 0 done, 2 usage, 3 data, 4 checkpoint, 5 numeric, 6 input or output, 1 anything else.
int exit_code(const error& failure) {
  const int code = static_cast<int>(failure.code());
  return code <= 6 ? code : 1;
}

namespace {

/// Whether a row has room for all tasks; else they have a table of their own.
bool has_few_tasks(const TaskData& data) { return data.tasks.size() <= 4; }
std::string measure_of(const TaskData& data) {
  return data.measure == Measure::accuracy ? "accuracy" : "MSE";
}
std::string score_text(const TaskData& data, double score) {
  return data.measure == Measure::accuracy ? percent(score, 1) : fixed(score, 4);
}

/// The last table: what each gate reached and what it cost.
Table result_table(const TaskData& data, const std::vector<GateResult>& results) {
  std::vector<std::string> header = {"gate"};
  if (has_few_tasks(data)) {
    for (const std::string& task : data.tasks) header.push_back(measure_of(data) + " " + task);
  } else {
    header.push_back("mean " + measure_of(data));
    header.push_back("lowest");
    header.push_back("highest");
    header.push_back("Jaccard related");
    header.push_back("unrelated");
  }
  for (const char* name : {"experts", "at most", "binary bits", "binary at step", "training GFLOP",
                           "vs top-k", "seconds"}) {
    header.emplace_back(name);
  }
  Table table(header);
  const auto top_k = std::find_if(results.begin(), results.end(),
                                  [](const GateResult& r) { return r.gate == "top-k"; });
  for (const GateResult& r : results) {
    std::vector<std::string> row = {r.gate};
    if (has_few_tasks(data)) {
      for (double value : r.scores) row.push_back(score_text(data, value));
    } else {
      const auto [lowest, highest] = std::minmax_element(r.scores.begin(), r.scores.end());
      const double sum = std::accumulate(r.scores.begin(), r.scores.end(), 0.0);
      for (double value : {sum / static_cast<double>(r.scores.size()), *lowest, *highest}) {
        row.push_back(score_text(data, value));
      }
      const MeanJaccard alike = mean_jaccard(selected_experts(r.weights), data.group);
      row.push_back(alike.related ? fixed(*alike.related, 3) : "-");
      row.push_back(alike.unrelated ? fixed(*alike.unrelated, 3) : "-");
    }
    row.push_back(fixed(r.mean_experts, 2));
    row.push_back(to_text(r.most_experts));
    row.push_back(r.binary_bits ? percent(*r.binary_bits, 1) : "-");
    row.push_back(r.rounded_at     ? to_text(*r.rounded_at) + " (rounded)"
                  : r.binary_since ? to_text(*r.binary_since)
                                   : "-");
    row.push_back(fixed(r.training_flops * 1e-9, 1));
    row.push_back(top_k == results.end() ? "-"
                                         : fixed(r.training_flops / top_k->training_flops, 2));
    row.push_back(fixed(r.seconds, 1));
    table.add(std::move(row));
  }
  return table;
}

/// What each gate reached, task by task.
Table task_table(const TaskData& data, const std::vector<GateResult>& results) {
  std::vector<std::string> header = {"task"};
  for (const GateResult& r : results) header.push_back(r.gate);
  Table table(header);
  for (std::size_t t = 0; t < data.tasks.size(); ++t) {
    std::vector<std::string> row = {data.tasks[t]};
    for (const GateResult& r : results) row.push_back(score_text(data, r.scores[t]));
    table.add(std::move(row));
  }
  return table;
}

void draw(const char* what, const LinePlot& plot, const std::filesystem::path& stem) {
  const PlotFiles files = write_plot(plot, stem, PictureFormat::png);
  std::cout << what << ": "
            << (files.picture.empty() ? files.script.string() + " (" + files.problem + ")"
                                      : files.picture.string())
            << '\n';
}

/// `more` follows the table in the file.
void print(const Table& table, const std::filesystem::path& out, const std::string& more = "") {
  std::cout << '\n';
  table.print(std::cout);
  std::cout << '\n';

  std::filesystem::create_directories(out);
  const std::filesystem::path summary = out / "summary.md";
  std::ostringstream markdown;
  table.print_markdown(markdown);
  detail::write_file(summary, markdown.str() + more);
  std::cout << "table: " << summary.string() << '\n';
}

/// Prints the table; leaves it as Markdown, with all tasks' results, and pictures of the first
/// tasks' weights and of the cost of a step over training.
void report(const TaskData& data, const std::vector<GateResult>& results,
            const std::filesystem::path& out) {
  std::ostringstream tasks_markdown;
  if (!has_few_tasks(data)) {
    tasks_markdown << "\nTask by task, " << measure_of(data) << ":\n\n";
    task_table(data, results).print_markdown(tasks_markdown);
  }
  print(result_table(data, results), out, tasks_markdown.str());

  const auto shown = static_cast<std::ptrdiff_t>(std::min<std::size_t>(data.tasks.size(), 4));
  std::vector<std::string> gates;
  std::vector<WeightHistory> histories;
  std::vector<CostHistory> costs;
  for (const GateResult& r : results) {
    gates.push_back(r.gate);
    histories.insert(histories.end(), r.history.begin(), r.history.begin() + shown);
    costs.push_back(r.cost);
  }
  const std::vector<std::string> tasks(data.tasks.begin(), data.tasks.begin() + shown);
  draw("expert weights over training", expert_weight_plot(gates, tasks, histories),
       out / "expert_weights");
  const auto top_k = std::find(gates.begin(), gates.end(), "top-k");
  const auto unit = static_cast<std::size_t>(top_k == gates.end() ? 0 : top_k - gates.begin());
  draw("cost of a step over training", cost_plot(gates, costs, unit), out / "cost");
}

/// Everything the command line sets.
struct Settings {
  RunOptions run;
  Index num_train = 0, num_test = 0, num_tasks = 128;
  bool doubling_groups = false;
  std::string profile = "quick", mode = "static";
  std::filesystem::path instructions, out, folder = "/usr/share/datasets/fashion-mnist";
};

/// What a profile stands for, where the command line does not say otherwise. `paper` has the
/// paper's sizes; the other two are ours: `quick` ends within minutes on two cores, `smoke` within
/// seconds.
Settings multi_fashion_profile(const std::string& name) {
  Settings s;
  s.run.gamma = 0.3;
  s.run.lambda = 0.1;
  s.run.learning_rate = 2e-3;
  s.run.batch = name == "paper" ? 256 : 64;
  s.run.epochs = name == "paper" ? 50 : name == "quick" ? 4 : 1;
  s.num_train = name == "paper" ? 100'000 : name == "quick" ? 10'000 : 640;
  s.num_test = name == "paper" ? 20'000 : name == "quick" ? 4'000 : 320;
  return s;
}
Settings synthetic_profile(const std::string& name) {
  Settings s;
  s.run.k = 4;
  s.run.gamma = 5;
  s.run.lambda = 1e-3;
  s.run.lambda_start = s.run.lambda_end = 0;
  s.run.round_at = 0.5;
  s.run.learning_rate = 1e-2;
  s.run.batch = 256;
  s.run.epochs = name == "paper" ? 50 : name == "quick" ? 10 : 1;
  s.num_train = name == "smoke" ? 10'000 : 100'000;
  s.num_test = name == "smoke" ? 2'000 : 20'000;
  return s;
}

void add_options(CLI::App& command, Settings& s) {
  const auto gates = CLI::IsMember({"dselect-k", "top-k", "softmax"});
  const auto share = CLI::Range(0.0, 1.0);
  command.add_option("--profile", s.profile, "sizes and epochs: smoke, quick (default) or paper")
      ->check(CLI::IsMember({"smoke", "quick", "paper"}));
  command.add_option("--gates", s.run.gates, "any of dselect-k,top-k,softmax")
      ->delimiter(',')
      ->check(gates);
  command.add_option("--mode", s.mode, "static (default): one weight vector a task; or per-example")
      ->check(CLI::IsMember({"static", "per-example"}));
  command.add_option("--k", s.run.k, "selectors of DSelect-k, experts that top-k keeps")
      ->check(CLI::PositiveNumber);
  command.add_option("--gamma", s.run.gamma, "width of the smooth-step");
  command.add_option("--lambda", s.run.lambda, "weight of DSelect-k's entropy regularizer");
  command
      .add_option("--lambda-start", s.run.lambda_start,
                  "share of the training before which it is 0")
      ->check(share);
  command
      .add_option("--lambda-end", s.run.lambda_end, "share of the training after which it is whole")
      ->check(share);
  command
      .add_option(
          "--round-at", s.run.round_at,
          "share of the training at which a static DSelect-k keeps its k largest weights; 1: never")
      ->check(share);
  command.add_option("--xi", s.run.xi, "weight of the penalty on codes without expert");
  command.add_option("--learning-rate", s.run.learning_rate, "of Adam");
  command.add_option("--batch", s.run.batch, "examples a step")->check(CLI::PositiveNumber);
  command.add_option("--epochs", s.run.epochs, "passes over the training set")
      ->check(CLI::PositiveNumber);
  command.add_option("--train", s.num_train, "training examples")->check(CLI::PositiveNumber);
  command.add_option("--test", s.num_test, "test examples")->check(CLI::PositiveNumber);
  command.add_option("--seed", s.run.seed, "of data, initial weights and order");
  command.add_option("--threads", s.run.threads, "any number gives the same result (default 1)")
      ->check(CLI::Range(1, 256));
  command.add_option("--out", s.out, "folder of table and picture (default runs/EXPERIMENT)");
  command.add_option("--instructions", s.instructions,
                     "counts of scripts/cost_over_training, for the picture of the cost")
      ->check(CLI::ExistingFile);
  command.add_flag("--quiet", s.run.quiet, "no progress");
}

void train_multi_fashion(Settings& s) {
  const TaskData data = multi_fashion_data(
      s.folder, {.num_train = s.num_train,
                 .num_validation = 1,  // nothing is tuned here
                 .num_test = s.num_test,
                 .seed = s.run.seed});
  std::printf("multi-fashion: %lld training and %lld test examples of 36x36 pixels from %s\n",
              static_cast<long long>(data.num_train), static_cast<long long>(data.num_test),
              s.folder.c_str());
  report(data, run_multi_fashion(data, s.run), s.out);
}

void train_synthetic(Settings& s) {
  const SyntheticOptions options{
      .num_tasks = s.num_tasks,
      .grouping = s.doubling_groups ? Grouping::doubling : Grouping::equal,
      .num_train = s.num_train,
      .num_validation = 1,  // nothing is tuned here
      .num_test = s.num_test,
      .seed = s.run.seed};
  const TaskData data = synthetic_data(options);
  s.run.num_experts = s.num_tasks / 4;
  std::printf("synthetic: %lld tasks, %lld experts, %lld training and %lld test examples\n",
              static_cast<long long>(s.num_tasks), static_cast<long long>(s.run.num_experts),
              static_cast<long long>(data.num_train), static_cast<long long>(data.num_test));
  report(data, run_synthetic(data, s.run), s.out);
}

void add_options(CLI::App& command, ManyExpertsOptions& o) {
  command.add_option("--experts", o.num_experts, "linear experts")->check(CLI::PositiveNumber);
  command.add_option("--k", o.k, "selectors of DSelect-k, experts that top-k keeps")
      ->check(CLI::PositiveNumber);
  command.add_option("--gamma", o.gamma, "width of the smooth-step");
  command.add_option(
      "--code-range", o.code_range,
      "DSelect-k's maps start U(+-this gamma): the larger, the fewer fractional bits");
  command.add_option("--learning-rate", o.learning_rate, "of Adagrad");
  command.add_option("--batch", o.batch, "examples a step")->check(CLI::PositiveNumber);
  command.add_option("--epochs", o.epochs, "passes over the training set")
      ->check(CLI::PositiveNumber);
  command.add_option("--seed", o.seed, "of initial weights and order");
}

void train_many_experts(const ManyExpertsOptions& options, const Settings& s) {
  const PooledSplits data = read_pooled_images(s.folder, 4);
  std::printf(
      "many-experts: %lld training and %lld test images of %lld features from %s\n"
      "%lld linear experts, batches of %lld, Adagrad %g, k %lld, gamma %g, seed %llu\n",
      static_cast<long long>(data.train.x.cols()), static_cast<long long>(data.test.x.cols()),
      static_cast<long long>(data.train.x.rows()), s.folder.c_str(),
      static_cast<long long>(options.num_experts), static_cast<long long>(options.batch),
      options.learning_rate, static_cast<long long>(options.k), options.gamma,
      static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  Table table(
      {"gate", "steps", "accuracy", "experts", "experts used", "training GFLOP", "seconds"});
  for (const ManyExpertsResult& r : run_many_experts(data, options)) {
    table.add({r.gate, to_text(r.steps), percent(r.accuracy, 1), fixed(r.mean_experts, 2),
               to_text(r.used_experts), fixed(r.training_flops * 1e-9, 1), fixed(r.seconds, 1)});
  }
  print(table, s.out);
}

int run(int argc, char** argv) {
  CLI::App app(
      "Trains multi-task models with DSelect-k, top-k and softmax gates in turn, on the same "
      "data.");
  app.require_subcommand(1);
  Settings settings;
  CLI::App* fashion = app.add_subcommand(
      "multi-fashion", "two overlaid images, two classification tasks (4.2, D.2)");
  CLI::App* synthetic = app.add_subcommand("synthetic", "regression tasks in groups (C.2)");
  add_options(*fashion, settings);
  add_options(*synthetic, settings);
  ManyExpertsOptions many_options;
  CLI::App* many = app.add_subcommand(
      "many-experts",
      "one layer of thousands of experts behind a per-example gate, trained sparsely");
  add_options(*many, many_options);
  many->add_option("--data", settings.folder, "folder of the four IDX files of MNIST's format");
  many->add_option("--out", settings.out, "folder of the table (default runs/many-experts)");
  fashion
      ->add_option("--experts", settings.run.num_experts, "shared convolution networks (default 8)")
      ->check(CLI::PositiveNumber);
  fashion->add_option("--data", settings.folder, "folder of the four IDX files of MNIST's format");
  synthetic->add_option("--tasks", settings.num_tasks, "16, 32, 64 or 128 (default)");
  synthetic->add_flag("--doubling-groups", settings.doubling_groups,
                      "groups of 16, 16, 32, 64 tasks instead of 16 each");
  try {
    // Twice: the first pass tells the profile, the second lays what was given over its values.
    app.parse(argc, argv);
    settings = fashion->parsed() ? multi_fashion_profile(settings.profile)
                                 : synthetic_profile(settings.profile);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    return app.exit(stop) == 0 ? 0 : 2;
  }
  if (many->parsed()) {
    if (settings.out.empty()) settings.out = "runs/many-experts";
    train_many_experts(many_options, settings);
    return 0;
  }
  require(settings.run.lambda_start <= settings.run.lambda_end, "--lambda-start",
          "<= --lambda-end = " + to_text(settings.run.lambda_end), settings.run.lambda_start);
  if (!settings.instructions.empty())
    settings.run.instructions = read_instructions(settings.instructions);
  const RunOptions& r = settings.run;
  std::printf(
      "%lld epochs of batches of %lld, Adam %g, k %lld, gamma %g, lambda %g from %g to %g of the "
      "training, seed %llu, %d thread%s\n",
      static_cast<long long>(r.epochs), static_cast<long long>(r.batch), r.learning_rate,
      static_cast<long long>(r.k), r.gamma, r.lambda, r.lambda_start, r.lambda_end,
      static_cast<unsigned long long>(r.seed), r.threads, r.threads == 1 ? "" : "s");
  settings.run.per_example = settings.mode == "per-example";
  if (settings.out.empty())
    settings.out = std::filesystem::path("runs") / app.get_subcommands()[0]->get_name();
  if (fashion->parsed()) {
    train_multi_fashion(settings);
  } else {
    train_synthetic(settings);
  }
  return 0;
}

}  // namespace
}  // namespace selgate::examples

int main(int argc, char** argv) {
  try {
    return selgate::examples::run(argc, argv);
  } catch (const std::exception& failure) {
    std::cerr << "selgate-train: " << failure.what() << '\n';
    const auto* own = dynamic_cast<const selgate::error*>(&failure);
    return own != nullptr ? selgate::examples::exit_code(*own) : 1;
  }
}
