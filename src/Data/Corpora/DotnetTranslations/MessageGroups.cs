namespace Trainer.Data;

/// <summary>Groups messages that share a key, an English text or a translation, so that none of a group is held out while another is trained on.</summary>
/// <remarks>Disjoint sets with path halving (Tarjan and van Leeuwen 1984).</remarks>
internal sealed class MessageGroups
{
    private readonly Dictionary<string, int> numbers = new(StringComparer.Ordinal);
    private readonly List<int> parents = [];
    private readonly List<string> names = [];

    /// <summary>Joins all that pairs have in common; the order of the pairs does not matter.</summary>
    public MessageGroups(IEnumerable<TranslationPair> pairs)
    {
        foreach (var pair in pairs)
        {
            var source = Root(Number(SourceOf(pair)));
            Join(source, Number($"key {pair.Key}"));
            Join(source, Number($"target {pair.Language} {TranslationPair.Letters(pair.Target)}"));
        }
    }

    /// <summary>The name of a pair's group: the first, in ordinal order, of all that its pairs have in common.</summary>
    public string Of(TranslationPair pair) => names[Root(numbers[SourceOf(pair)])];

    private static string SourceOf(TranslationPair pair) => $"source {TranslationPair.Letters(pair.Source)}";

    private int Number(string name)
    {
        if (numbers.TryGetValue(name, out var number))
            return number;
        numbers.Add(name, number = parents.Count);
        parents.Add(number);
        names.Add(name);
        return number;
    }

    private void Join(int one, int other)
    {
        (one, other) = (Root(one), Root(other));
        if (one == other)
            return;
        if (string.CompareOrdinal(names[other], names[one]) < 0)
            names[one] = names[other];
        parents[other] = one;
    }

    private int Root(int number)
    {
        while (parents[number] != number)
            number = parents[number] = parents[parents[number]];
        return number;
    }
}
