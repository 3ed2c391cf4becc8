using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Verification;

/// <summary>What a comparison found, as it is written beside the file.</summary>
public sealed record Certificate
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary><c>equal</c> or <c>different</c>.</summary>
    public string Verdict => Passed ? "equal" : "different";

    /// <summary>Whether every check passed.</summary>
    [JsonIgnore]
    public bool Passed => Checks.All(check => check.Passed);

    /// <summary>The file.</summary>
    public required CheckedFile File { get; init; }

    /// <summary>The checkpoint it was made of; the hash is that of its weights, <c>model.safetensors</c>.</summary>
    public required CheckedFile Checkpoint { get; init; }

    /// <summary>How many tensors of the file have each of llama.cpp's types.</summary>
    public required IReadOnlyDictionary<string, int> Tensors { get; init; }

    /// <summary>The versions of this program and of llama.cpp.</summary>
    public required IReadOnlyDictionary<string, string> Programs { get; init; }

    /// <summary>What both computed the model on.</summary>
    public required string Text { get; init; }

    /// <summary>Perplexity of the text by the checkpoint's own weights, in this program.</summary>
    public double? Perplexity { get; init; }

    /// <summary>What was compared, in this order; a check that the ones before made impossible is not there.</summary>
    public required IReadOnlyList<Check> Checks { get; init; }

    /// <summary>The certificate of a file.</summary>
    public static string PathFor(string file) => file + ".verification.json";

    /// <summary>Writes it, indented.</summary>
    /// <exception cref="UserException">It cannot be written.</exception>
    public void Save(string path)
    {
        try
        {
            System.IO.File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the certificate cannot be written: {error.Message}", error);
        }
    }
}

/// <summary>A file with its size and lower-case SHA-256.</summary>
public sealed record CheckedFile(string Path, long Bytes, string Sha256);

/// <summary>One comparison.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Compared">What was compared with what.</param>
/// <param name="Tolerance">What may differ, and why.</param>
public sealed record Check(string Name, string Compared, string Tolerance)
{
    /// <summary>Whether nothing differed that may not.</summary>
    public bool Passed => Differences.Count == 0;

    /// <summary>What differed, a line each.</summary>
    public required IReadOnlyList<string> Differences { get; init; }

    /// <summary>The figures of each window of text, for a check that computes.</summary>
    public IReadOnlyList<WindowFigures>? Windows { get; init; }
}

/// <summary>What both programs computed of a window of text.</summary>
public sealed record WindowFigures
{
    /// <summary>Its beginning.</summary>
    public required string Text { get; init; }

    /// <summary>Number of tokens.</summary>
    public required int Tokens { get; init; }

    /// <summary>Perplexity in this program.</summary>
    public required double PerplexityHere { get; init; }

    /// <summary>Perplexity in llama.cpp.</summary>
    public required double PerplexityThere { get; init; }

    /// <summary>Mean difference of the log-probabilities of the text's tokens, in nats, without sign.</summary>
    public required double MeanGap { get; init; }

    /// <summary>The largest difference of a log-probability, in nats, of the text's tokens and the 20 likeliest at each place.</summary>
    public required double LargestGap { get; init; }

    /// <summary>Tokens that llama.cpp continued the window's beginning with, each the likeliest.</summary>
    public required int GreedyTokens { get; init; }

    /// <summary>How many of these are the likeliest in this program, too, after the same tokens.</summary>
    public required int GreedyAlike { get; init; }

    /// <summary>By how much, in nats, this program finds another token likelier than llama.cpp's, at most.</summary>
    public required double LargestGreedyGap { get; init; }
}
