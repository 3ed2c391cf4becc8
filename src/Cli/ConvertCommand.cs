using System.CommandLine;
using Trainer.Checkpoints;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

internal static class ConvertCommand
{
    private static readonly ConversionRequest Defaults = new();
    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string> Output = new("--output")
    {
        Description = "The checkpoint directory to write; it gets no optimizer state. Train it with initialize.from.",
        HelpName = "directory",
        Required = true,
    };
    private static readonly Option<int?> Average = new("--average")
    {
        Description = "Takes the mean of this checkpoint and those before it in its run, so many in all.",
        HelpName = "N",
    };
    private static readonly Option<int?> Heads = new("--key-value-heads")
    {
        Description = "Key-value heads of each layer, which divide those there are: grouped-query attention, or multi-query with 1.",
        HelpName = "N",
    };
    private static readonly Option<HeadPool> Pool = new("--pool")
    {
        Description = "What becomes of the heads that are to be one: their mean, the first, or a random one.",
        DefaultValueFactory = _ => Defaults.Pool,
    };
    private static readonly Option<long> Seed = new("--seed")
    {
        Description = "Draws random heads.",
        DefaultValueFactory = _ => Defaults.Seed,
    };
    private static readonly Option<string?> Scaling = new("--rope-scaling")
    {
        Description = "How rotary positions are scaled for a longer context.",
        HelpName = string.Join('|', ContextExtension.Methods),
    };
    private static readonly Option<bool> MergeAdapter = new("--merge-adapter")
    {
        Description = "Writes the whole model of a checkpoint that holds an adapter, which is merged into its base.",
    };
    private static readonly Option<double?> Factor = new Option<double?>("--factor")
    {
        Description = "The new context length over the old one.",
        HelpName = "s",
    }.WithPoint();

    internal static Command Create()
    {
        Scaling.AcceptOnlyFromAmong([.. ContextExtension.Methods]);
        var command = new Command(
            "convert",
            "Makes a checkpoint with fewer key-value heads, for a longer context, of the mean of several, or of a model and its adapter.")
        {
            Source, Base, Output, Average, Heads, Pool, Seed, Scaling, Factor, MergeAdapter,
        };
        command.Validators.Add(result =>
        {
            if (!((Option[])[Heads, Scaling, Factor, Average]).Any(result.Has) && !result.GetValue(MergeAdapter))
                result.AddError(
                    "Nothing to convert: give --key-value-heads, --rope-scaling and --factor, --average, or --merge-adapter.");
            if (result.GetValue(Average) < 2) result.AddError("--average takes 2 checkpoints or more.");
            if (result.Has(Scaling) != result.Has(Factor))
                result.AddError("--rope-scaling and --factor belong together: how the context is made longer, and how much.");
            if (result.Has(Pool) && !result.Has(Heads)) result.AddError("--pool needs --key-value-heads: how many heads are there to be?");
            if (result.Has(Seed) && result.GetValue(Pool) != HeadPool.Random)
                result.AddError("--seed draws random heads: give --pool random, or leave it out.");
        });
        command.SetAction(Convert);
        return command;
    }

    private static int Convert(ParseResult parsed)
    {
        var output = parsed.GetRequiredValue(Output);
        var request = new ConversionRequest
        {
            Average = parsed.GetValue(Average),
            KeyValueHeads = parsed.GetValue(Heads),
            Pool = parsed.GetValue(Pool),
            Seed = parsed.GetValue(Seed),
            MergeAdapter = parsed.GetValue(MergeAdapter),
            Extension = parsed.GetValue(Scaling) is { } method ? new(method, parsed.GetValue(Factor) ?? 1) : null,
        };
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        var report = CheckpointConversion.Run(checkpoint, output, request);
        Console.WriteLine($"{output}: made from {checkpoint.Directory}");
        if (checkpoint.Base is { } original) Console.WriteLine($"  its adapter merged into {original.Base}");
        if (report.Averaged.Count > 0)
            Console.WriteLine($"  the mean of {string.Join(", ", report.Averaged.Select(Path.GetFileName))}");
        if (request.KeyValueHeads is { } heads)
            Console.WriteLine($"  key-value heads {heads} ({parsed.GetValue(Pool).ToString().ToLowerInvariant()}), cache " +
                $"{HumanFormat.Bytes(report.CostBefore.CacheBytesPerToken())} → " +
                $"{HumanFormat.Bytes(report.CostAfter.CacheBytesPerToken())} per token");
        if (request.Extension is { } extension)
            Console.WriteLine($"  context {report.From.ContextLength} → {report.To.ContextLength} ({extension.Method})");
        return ExitCode.Done;
    }
}
