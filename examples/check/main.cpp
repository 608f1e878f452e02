// SPDX-License-Identifier: MIT
#include "check.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

int main(int argc, char** argv) {
  CLI::App app(
      "Checks selgate against reference vectors. Each FILE is one gate or one multi-gate model:\n"
      "options, parameters, examples, and what another implementation computed from them.\n"
      "Prints the case's name and the largest error, relative to max(1, |reference|), over its\n"
      "weights, regularizers, predictions, losses, objective and all gradients.\n"
      "Exit code: 0; 1 if an error is above the tolerance; 2 for wrong usage or a malformed file.",
      "selgate-check");
  std::vector<std::string> files;
  selgate::examples::CheckOptions options;
  app.add_option("FILE", files, "Reference vectors")->required();
  app.add_option("--tolerance", options.tolerance, "Largest relative error that passes")
      ->capture_default_str();
  app.add_flag("--verbose", options.verbose, "Print the error of every quantity");
  try {
    app.parse(argc, argv);
    return selgate::examples::check_files(files, options, std::cout, std::cerr);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : 2;
  } catch (const selgate::config_error& problem) {
    std::cerr << problem.what() << '\n';
    return 2;
  }
}
