using System.Globalization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Evaluation.Perplexity;

namespace Trainer.Cli;

/// <summary>Token ids on a command line.</summary>
internal static class TokenArguments
{
    /// <summary>One token, by its name in the tokenizer or by its id.</summary>
    /// <exception cref="ConfigurationException">The tokenizer has no such token.</exception>
    internal static int Id(Tokenizer tokenizer, string token, string option) =>
        BeginningOfSequence.Find(tokenizer, token) ?? throw new ConfigurationException(
            [new Problem(option, $"\"{token}\" is no token of this tokenizer ({tokenizer.Type}): neither a name in its vocabulary nor an id from 0 to {tokenizer.VocabularySize - 1}")], "command line");

    /// <summary>A list such as <c>1,2,3</c>.</summary>
    /// <exception cref="ConfigurationException">It is empty, or an entry is no id of the vocabulary.</exception>
    internal static int[] Ids(string list, int vocabularySize, string option)
    {
        var entries = list.Split(',', StringSplitOptions.TrimEntries);
        var ids = new int[entries.Length];
        for (var i = 0; i < ids.Length; i++)
            if (!int.TryParse(entries[i], NumberStyles.None, CultureInfo.InvariantCulture, out ids[i]) || ids[i] >= vocabularySize)
                throw new ConfigurationException(
                    [new Problem(option, $"entry {i} is \"{entries[i]}\"; give token ids from 0 to {vocabularySize - 1} separated by commas, such as 1,2,3")], "command line");
        return ids;
    }

    /// <summary>A list of lengths such as <c>128,256</c>.</summary>
    /// <exception cref="ConfigurationException">An entry is no number of tokens.</exception>
    internal static int[] Lengths(string list, string option)
    {
        var entries = list.Split(',', StringSplitOptions.TrimEntries);
        var lengths = new int[entries.Length];
        for (var i = 0; i < lengths.Length; i++)
            if (!int.TryParse(entries[i], NumberStyles.None, CultureInfo.InvariantCulture, out lengths[i]) || lengths[i] < 1)
                throw new ConfigurationException([new Problem(option, $"entry {i} is \"{entries[i]}\"; give numbers of tokens separated by commas, such as 256,512,1024")], "command line");
        return lengths;
    }
}
