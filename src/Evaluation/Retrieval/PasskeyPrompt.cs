using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Evaluation.Retrieval;

/// <summary>A prompt and the passkey that continues it, in tokens.</summary>
/// <param name="Tokens">The prompt.</param>
/// <param name="Answer">What has to follow.</param>
internal sealed record PasskeyPrompt(int[] Tokens, int[] Answer)
{
    /// <summary>Writes a prompt of at most <paramref name="length"/> tokens: as many sentences of filler as fit.</summary>
    /// <exception cref="UserException">Not even the prompt without filler fits.</exception>
    public static PasskeyPrompt Write(Tokenizer tokenizer, PasskeyOptions options, int length, double depth, string passkey)
    {
        int[] introduction = [.. tokenizer.Frame.Before, .. tokenizer.Encode(options.Introduction)]; // as generation begins
        int[] needle = tokenizer.Encode(options.Needle.Replace("{0}", passkey, StringComparison.Ordinal));
        int[] question = tokenizer.Encode(options.Question);
        int room = length - introduction.Length - needle.Length - question.Length;
        if (room < 0)
            throw new UserException($"a passkey prompt of {length} tokens is too short: without any filler it has {length - room}; ask for longer ones");
        List<int[]> filler = Fill(tokenizer, options.Filler, room);
        int before = (int)Math.Round(depth * filler.Count, MidpointRounding.AwayFromZero);
        int[] tokens = [.. introduction, .. filler.Take(before).SelectMany(ids => ids), .. needle, .. filler.Skip(before).SelectMany(ids => ids), .. question];
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
