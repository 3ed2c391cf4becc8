// Shapes: B prompts, T tokens of a prompt, A tokens of a passkey, V vocabulary.
using System.Globalization;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Retrieval;

/// <summary>Hides a passkey in filler and looks whether the model can repeat it, by length and depth.</summary>
/// <remarks>A passkey is found when each of its tokens is the most likely one after the prompt and the tokens before it, which is exactly
/// when greedy decoding would write it. That takes one pass over prompt and passkey, with many prompts side by side.</remarks>
/// <param name="model">The model, a decoder; measured in evaluation mode and left in the mode it was in.</param>
/// <param name="tokenizer">The tokenizer it was trained with.</param>
public sealed class PasskeyProbe(LanguageModel model, Tokenizer tokenizer)
{
    /// <summary>The most tokens of a batch.</summary>
    private const int TokensAtOnce = 1 << 14;

    /// <summary>Probes.</summary>
    /// <param name="options">Lengths, depths and texts.</param>
    /// <returns>A cell for each length and depth.</returns>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    /// <exception cref="UserException">A length is too short for the texts or too long for the model, or the tokenizer cannot express the texts.</exception>
    public PasskeyReport Measure(PasskeyOptions options)
    {
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems, "passkey");
        if (model.Options is not DecoderOptions) throw new UserException("passkey retrieval is for decoders, which continue a text; this model does not");
        bool training = model.training;
        model.eval();
        try
        {
            using IDisposable inference = inference_mode();
            SplitMix64 random = new(options.Seed);
            return new([.. options.Lengths.SelectMany(length => options.Depths.Select(depth => Cell(options, length, depth, random)))]);
        }
        finally
        {
            model.train(training);
        }
    }

    /// <summary>Why prompts of these lengths cannot be made, or not be read: what <see cref="Measure"/> would refuse.</summary>
    /// <param name="options">Lengths, depths and texts, in their ranges.</param>
    /// <returns>The reason; null where there is none.</returns>
    public string? Complaint(PasskeyOptions options)
    {
        try
        {
            return options.Lengths
                .Select(length => (Length: length, Written: PasskeyPrompt.Write(tokenizer, options, length, 0.5, new string('7', options.Digits)).Tokens.Length))
                .Where(prompt => prompt.Written < model.PrefixLength)
                .Select(prompt => $"a passkey prompt of {prompt.Length} tokens is too short: it has {prompt.Written}, and the model reads {model.PrefixLength} together before it writes (attention pattern 'prefix'); ask for longer ones")
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

    /// <summary>How many prompts, all of one length, are continued by their passkeys.</summary>
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
        return tensor([.. all.SelectMany(row => row).Select(id => (long)id)], [all.Length, all[0].Length], dtype: ScalarType.Int64).to(model.Device);
    }

    private static string Passkey(SplitMix64 random, int digits) =>
        string.Concat(Enumerable.Range(0, digits).Select(i => (i == 0 ? 1 + (int)(random.NextDouble() * 9) : (int)(random.NextDouble() * 10)).ToString(CultureInfo.InvariantCulture)));
}
