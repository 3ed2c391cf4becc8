using System.CommandLine;
using System.CommandLine.Parsing;
using Trainer.Checkpoints;
using Trainer.Inference.Serving;
using Trainer.Models.Devices;
using Trainer.Serving;

namespace Trainer.Cli;

/// <summary><c>serve</c>: answers over HTTP with a trained model.</summary>
internal static class ServeCommand
{
    private static readonly ServerOptions Defaults = new();
    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<NamedAdapter[]> Adapters = new("--adapter")
    {
        Description = "An adapter over the checkpoint, and the name that requests choose it by as their model: a run or checkpoint of " +
            "an adapter, or a directory of PEFT's. Several may follow.",
        HelpName = "name=path",
        AllowMultipleArgumentsPerToken = true,
        CustomParser = Named,
    };
    private static readonly Option<int> Port = new("--port")
    {
        Description = "The port to listen on; 0 for a free one.",
        DefaultValueFactory = _ => Defaults.Port,
    };
    private static readonly Option<string> Host = new("--host")
    {
        Description = "The address to listen on; 0.0.0.0 for everyone.",
        DefaultValueFactory = _ => Defaults.Host,
    };
    private static readonly Option<string?> ApiKey = new("--api-key") { Description = "What clients must send as a bearer token." };
    private static readonly Option<int> Parallel = new("--parallel")
    {
        Description = "How many texts are generated side by side.",
        DefaultValueFactory = _ => Defaults.Engine.Parallel,
    };
    private static readonly Option<int?> CacheTokens = new("--cache-tokens")
    {
        Description = "Tokens whose keys and values are kept, those of running texts first; by default a context for each text.",
        HelpName = "count",
    };
    private static readonly Option<DeviceChoice> OnDevice = DeviceArgument.Create();
    private static readonly Option<InferencePrecision> Number = PrecisionArgument.Create("may choose another token where two are " +
        "about as likely");

    internal static Command Create()
    {
        var command = new Command("serve", "Answers over HTTP as OpenAI's API does.")
        {
            Source, Base, Adapters, Port, Host, ApiKey, Parallel, CacheTokens, OnDevice, Number,
        };
        command.SetAction((parsed, _) => Serve(parsed));
        return command;
    }

    private static async Task<int> Serve(ParseResult parsed)
    {
        var options = Defaults with
        {
            Port = parsed.GetValue(Port),
            Host = parsed.GetRequiredValue(Host),
            ApiKey = parsed.GetValue(ApiKey),
            Adapters = parsed.GetValue(Adapters) ?? [],
            Engine = Defaults.Engine with { Parallel = parsed.GetValue(Parallel), CacheTokens = parsed.GetValue(CacheTokens) },
        };
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        await using var server = await ModelServer.StartAsync(
            checkpoint, DeviceSelection.Choose(parsed.GetValue(OnDevice)), parsed.GetValue(Number), options);
        Console.WriteLine($"serving {string.Join(", ", server.ModelIds)} at {server.Address.ToString().TrimEnd('/')}; Ctrl-C ends it");
        await server.WaitForShutdownAsync();
        return ExitCode.Done;
    }

    private static NamedAdapter[]? Named(ArgumentResult argument)
    {
        List<NamedAdapter> named = [];
        foreach (var text in argument.Tokens.Select(token => token.Value))
        {
            var end = text.IndexOf('=', StringComparison.Ordinal);
            if (end > 0 && end < text.Length - 1) named.Add(new(text[..end], text[(end + 1)..]));
            else argument.AddError($"--adapter '{text}' must be a name and a path, such as pirate=runs/pirate");
        }
        return [.. named];
    }
}
