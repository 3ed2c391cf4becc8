// Shapes: B prompts, T tokens of a prompt, A tokens of a passkey, V vocabulary.
using System.Globalization;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation;

/// <summary>The texts of passkey retrieval, by default those of Mohtashami and Jaggi 2023 (arXiv 2305.16300).</summary>
public sealed record PasskeyOptions : IValidated
{
    /// <summary>Lengths of the whole prompt, in tokens.</summary>
    public required IReadOnlyList<int> Lengths { get; init; }

    /// <summary>Where the passkey stands in the filler: 0 at its beginning, 1 at its end.</summary>
    public IReadOnlyList<double> Depths { get; init; } = [0, 0.25, 0.5, 0.75, 1];

    /// <summary>Passkeys tried at each depth of each length.</summary>
    public int Trials { get; init; } = 10;

    /// <summary>Digits of a passkey.</summary>
    public int Digits { get; init; } = 5;

    /// <summary>Seed of the passkeys.</summary>
    public long Seed { get; init; } = 1337;

    /// <summary>What the prompt begins with.</summary>
    public string Introduction { get; init; } =
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the " +
        "important information there.\n";

    /// <summary>The sentences that are repeated around the passkey.</summary>
    public IReadOnlyList<string> Filler { get; init; } =
        ["The grass is green. ", "The sky is blue. ", "The sun is yellow. ", "Here we go. ", "There and back again. "];

    /// <summary>The sentence that hides the passkey in place of every {0}.</summary>
    public string Needle { get; init; } = "The pass key is {0}. Remember it. {0} is the pass key. ";

    /// <summary>What the model has to continue with the passkey.</summary>
    public string Question { get; init; } = "What is the pass key? The pass key is ";

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Lengths.Count == 0 || Lengths.Any(length => length < 1))
            yield return new("lengths", $"lengths ({string.Join(", ", Lengths)}) must be one or more numbers of tokens, each 1 or more");
        if (Depths.Count == 0 || Depths.Any(depth => !(depth >= 0 && depth <= 1)))
            yield return new("depths", $"depths ({string.Join(", ", Depths)}) must be one or more numbers from 0 to 1");
        if (Trials < 1) yield return new("trials", $"trials ({Trials}) must be 1 or more");
        if (Digits is < 1 or > 18) yield return new("digits", $"digits ({Digits}) must be 1 to 18");
        if (Filler.Count == 0 || Filler.Any(string.IsNullOrEmpty))
            yield return new("filler", "filler must be one or more sentences, none of them empty");
        if (!Needle.Contains("{0}", StringComparison.Ordinal))
            yield return new("needle", $"needle (\"{Needle}\") must have {{0}} where the passkey stands");
    }
}

/// <summary>Hides a passkey in filler and tests whether the model can repeat it, by length and depth.</summary>
/// <remarks>One pass over prompts and passkeys tells whether greedy decoding would write them.</remarks>
public sealed class PasskeyEvaluator(LanguageModel model, Tokenizer tokenizer)
{
    private const int TokensAtOnce = 1 << 14;

    /// <summary>Evaluates every length and depth.</summary>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    /// <exception cref="UserException">A length does not fit the texts or the model, or the tokenizer lacks their words.</exception>
    public PasskeyReport Evaluate(PasskeyOptions options)
    {
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems, "passkey");
        if (model.Options is not DecoderOptions)
            throw new UserException("passkey retrieval is for decoders, which continue a text; this model does not");
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        SplitMix64 random = new(options.Seed);
        return new([.. options.Lengths.SelectMany(length => options.Depths.Select(depth => Cell(options, length, depth, random)))]);
    }

    /// <summary>Why <see cref="Evaluate"/> would refuse prompts of these lengths; null if it would not.</summary>
    internal string? ValidationError(PasskeyOptions options)
    {
        try
        {
            return options.Lengths
                .Select(length => (Length: length,
                    Written: PasskeyPrompt.Write(tokenizer, options, length, 0.5, new string('7', options.Digits)).Tokens.Length))
                .Where(prompt => prompt.Written < model.PrefixLength)
                .Select(prompt => $"a passkey prompt of {prompt.Length} tokens is too short: it has {prompt.Written}, and the model " +
                    $"reads {model.PrefixLength} together before it writes (attention pattern 'prefix'); ask for longer ones")
                .FirstOrDefault();
        }
        catch (Exception error) when (error is UserException or EncodingException)
        {
            return error.Message;
        }
    }

    private PasskeyCell Cell(PasskeyOptions options, int length, double depth, SplitMix64 random)
    {
        PasskeyPrompt[] prompts = [.. Enumerable.Range(0, options.Trials)
            .Select(_ => PasskeyPrompt.Write(tokenizer, options, length, depth, Passkey(random, options.Digits)))];
        // Passkeys may differ in their number of tokens; rows of one batch do not.
        int found = prompts.GroupBy(prompt => (Prompt: prompt.Tokens.Length, Answer: prompt.Answer.Length))
            .SelectMany(alike => alike.Chunk(Math.Max(1, TokensAtOnce / alike.Key.Prompt)))
            .Sum(Found);
        return new(length, depth, found, options.Trials);
    }

    internal int Found(PasskeyPrompt[] prompts)
    {
        using DisposeScope scope = NewDisposeScope();
        int answer = prompts[0].Answer.Length;
        using DecodingState state = model.NewDecodingState(prompts.Length, prompts[0].Tokens.Length + answer);
        Tensor first = model.NextLogits(Rows(prompts.Select(prompt => prompt.Tokens)), state).argmax(-1).unsqueeze(1); // (B, V) → (B, 1)
        Tensor written = answer == 1 ? first
            : cat([first, model.forward(Rows(prompts.Select(prompt => prompt.Answer[..^1])), state).argmax(-1)], 1); // (B, A−1, V) → (B, A)
        Tensor right = written.eq(Rows(prompts.Select(prompt => prompt.Answer))).sum(1).eq(answer); // (B, A) → (B)
        return (int)right.sum().ToInt64();
    }

    private Tensor Rows(IEnumerable<int[]> rows)
    {
        int[][] all = [.. rows];
        return tensor([.. all.SelectMany(row => row)
            .Select(id => (long)id)], [all.Length, all[0].Length], dtype: ScalarType.Int64).to(model.Device);
    }

    private static string Passkey(SplitMix64 random, int digits) =>
        string.Concat(Enumerable.Range(0, digits)
            .Select(i => (i == 0 ? 1 + (int)(random.NextDouble() * 9) : (int)(random.NextDouble() * 10))
                .ToString(CultureInfo.InvariantCulture)));
}

/// <summary>How often the passkey was found, for each length and depth.</summary>
public sealed record PasskeyReport(IReadOnlyList<PasskeyCell> Cells)
{
    /// <summary>The share of passkeys that were found, over all lengths and depths.</summary>
    public double Accuracy => (double)Cells.Sum(cell => cell.Found) / Cells.Sum(cell => cell.Trials);
}

/// <summary>Passkeys found and hidden in prompts of at most <c>Length</c> tokens at one depth, 0 (beginning) to 1.</summary>
public sealed record PasskeyCell(int Length, double Depth, int Found, int Trials);

internal sealed record PasskeyPrompt(int[] Tokens, int[] Answer)
{
    /// <summary>Fills a prompt of at most <paramref name="length"/> tokens with as many sentences as fit.</summary>
    public static PasskeyPrompt Write(Tokenizer tokenizer, PasskeyOptions options, int length, double depth, string passkey)
    {
        int[] introduction = [.. tokenizer.Template.Before, .. tokenizer.Encode(options.Introduction)]; // as generation begins
        int[] needle = tokenizer.Encode(options.Needle.Replace("{0}", passkey, StringComparison.Ordinal));
        int[] question = tokenizer.Encode(options.Question);
        int room = length - introduction.Length - needle.Length - question.Length;
        if (room < 0)
            throw new UserException($"a passkey prompt of {length} tokens is too short: without any filler it has {length - room}; " +
                "ask for longer ones");
        List<int[]> filler = Fill(tokenizer, options.Filler, room);
        int before = (int)Math.Round(depth * filler.Count, MidpointRounding.AwayFromZero);
        int[] tokens = [.. introduction, .. filler.Take(before).SelectMany(ids => ids), .. needle, .. filler.Skip(before)
            .SelectMany(ids => ids), .. question];
        return new(tokens, tokenizer.Encode(passkey));
    }

    private static List<int[]> Fill(Tokenizer tokenizer, IReadOnlyList<string> sentences, int room)
    {
        int[][] encoded = [.. sentences.Select(sentence => tokenizer.Encode(sentence))];
        List<int[]> filler = [];
        for (int i = 0; encoded[i % encoded.Length] is var next && next.Length > 0 && next.Length <= room; i++)
        {
            filler.Add(next);
            room -= next.Length;
        }
        return filler;
    }
}
