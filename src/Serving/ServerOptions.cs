using System.Net;
using Trainer.Configuration;
using Trainer.Inference.Serving;

namespace Trainer.Serving;

/// <summary>The settings of a <see cref="ModelServer"/>.</summary>
public sealed record ServerOptions : IValidated
{
    /// <summary>The address to listen on: only this machine by default; <c>0.0.0.0</c> or <c>::</c> for everyone.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port to listen on; 0 for a free one.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>What clients must send as <c>Authorization: Bearer …</c>; null for nothing.</summary>
    public string? ApiKey { get; init; }

    /// <summary>How many texts are generated side by side, and how many requests may wait.</summary>
    public EngineOptions Engine { get; init; } = new();

    /// <summary>Adapters of the model, which share its weights and its batch; a request names one as its model.</summary>
    public IReadOnlyList<NamedAdapter> Adapters { get; init; } = [];

    /// <summary>The most bytes of a request's body.</summary>
    public long MaxBodyBytes { get; init; } = 1 << 20;

    /// <summary>The most choices of one request, over all its prompts.</summary>
    public int MaxChoices { get; init; } = 64;

    /// <summary>How long a request may take, its time in the queue included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Port is < 0 or > 65535) yield return new("port", $"--port ({Port}) must be 0 to 65535; 0 takes a free one");
        if (Host is not "localhost" && !IPAddress.TryParse(Host, out _))
            yield return new("host", $"--host '{Host}' is no IP address; 127.0.0.1 is this machine alone, 0.0.0.0 everyone");
        if (Host is "localhost" && Port == 0)
            yield return new("port", "--port 0 takes a free one at one address, and localhost is two, 127.0.0.1 and ::1; give one of them");
        if (ApiKey is { Length: 0 }) yield return new("apiKey", "--api-key is empty; give a key, or leave it out for none");
        if (Engine.Parallel < 1) yield return new("parallel", $"--parallel ({Engine.Parallel}) must be 1 or more");
    }
}
