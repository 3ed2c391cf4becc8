using System.CommandLine;
using System.Globalization;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Training;
using Trainer.Verification;

namespace Trainer.Cli;

// What llama.cpp, in this process, does for an export: it makes blocks of less than 8 bits, and computes the file for comparison.
internal static partial class ExportCommand
{
    private static readonly Option<bool> Verifies = new("--verify")
    {
        Description = "Compute the GGUF in llama.cpp and compare with the checkpoint; the result is written beside it, to " +
            "<output>.verification.json, and a difference is exit code 1.",
    };

    private static readonly Option<bool> OnlyVerifies = new("--verify-only")
    {
        Description = "The same with the file that --output names, as it is: nothing is exported.",
    };

    static partial void AddLlamaCpp(Command command, List<string> types)
    {
        types.AddRange(QuantizedExport.Types);
        command.Add(Verifies);
        command.Add(OnlyVerifies);
        command.Validators.Add(result =>
        {
            var option = result.GetValue(OnlyVerifies) ? OnlyVerifies.Name : Verifies.Name;
            if (!result.GetValue(Verifies) && !result.GetValue(OnlyVerifies)) return;
            if (result.GetValue(Format) != Gguf)
                result.AddError($"{option} compares with llama.cpp, which reads GGUF: leave it out, or use --format gguf.");
            if (result.GetValue(OnlyVerifies) && result.Has(Type))
                result.AddError("--type says how a file is written, and --verify-only writes none: leave one of them out.");
        });
    }

    static partial void BeforeWriting(ParseResult parsed, ref bool written)
    {
        var (output, type) = (parsed.GetRequiredValue(Output), parsed.GetRequiredValue(Type));
        written = parsed.GetValue(OnlyVerifies);
        if (written || !QuantizedExport.Types.Contains(type)) return;
        var family = QuantizedExport.Write(Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base)), output, type);
        var stored = GgufComparison.TypesIn(output).Select(entry => $"{entry.Value} × {entry.Key}");
        Console.WriteLine($"{output}: written as {family}, {type} ({string.Join(", ", stored)})");
        written = true;
    }

    static partial void AfterWriting(ParseResult parsed, ref int exitCode)
    {
        // A certificate is of a file as it was.
        var (source, output) = (parsed.GetRequiredValue(Source), parsed.GetRequiredValue(Output));
        var path = Certificate.PathFor(output);
        if (parsed.GetRequiredValue(Format) == Gguf && File.Exists(path)) File.Delete(path);
        if (!parsed.GetValue(Verifies) && !parsed.GetValue(OnlyVerifies)) return;
        var certificate = GgufVerification.Run(
            Checkpoint.Open(source, parsed.GetValue(Base)), output, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
        certificate.Save(path);
        if (certificate.Passed)
        {
            Console.WriteLine($"{output}: llama.cpp computes what {source} does: {Summary(certificate)}; see {path}");
            return;
        }
        Console.Error.WriteLine($"{output}: it is not what {source} is; see {path}");
        foreach (var check in certificate.Checks.Where(check => !check.Passed))
            Console.Error.WriteLine($"  {check.Name}: {check.Differences[0]}" +
                (check.Differences.Count > 1 ? $" (and {check.Differences.Count - 1} more)" : ""));
        exitCode = ExitCode.Failed;
    }

    private static string Summary(Certificate certificate)
    {
        var parts = new List<string>();
        foreach (var check in certificate.Checks)
        {
            if (check.Windows is not { } windows) continue;
            var (alike, all) = (windows.Sum(window => window.GreedyAlike), windows.Sum(window => window.GreedyTokens));
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{check.Name}, log-probabilities up to " +
                $"{windows.Max(window => window.LargestGap):0.0E+0} apart, {alike} of {all} greedy tokens alike"));
        }
        return string.Join("; ", parts);
    }
}
