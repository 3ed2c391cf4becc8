using System.Globalization;
using Trainer.Inference;

namespace Trainer.Evaluation.Tasks;

/// <summary>Writes the texts of RULER, as large as they are told: NVIDIA/RULER, scripts/data/synthetic.</summary>
internal static class RulerTexts
{
    private const string Noise = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

    private const int Hops = 4, Common = 10, LeastWords = 30, WordLetters = 6;

    private static readonly string[] Adjectives =
    [
        "bad", "big", "blue", "bold", "brave", "brown", "calm", "cheap", "clean", "clear", "cold", "cool", "dark", "deep", "dry", "dull",
        "early", "easy", "fair", "fast", "fine", "flat", "fresh", "full", "glad", "good", "grand", "gray", "great", "green", "happy",
        "hard", "heavy", "high", "hot", "huge", "kind", "large", "late", "light", "long", "loud", "low", "mild", "neat", "new", "nice",
        "old", "pale", "plain", "poor", "proud", "quick", "quiet", "rare", "red", "rich", "ripe", "rough", "round", "sad", "safe",
        "sharp", "short", "shy", "slow", "small", "soft", "sour", "still", "strong", "sweet", "tall", "thick", "thin", "tidy", "tiny",
        "warm", "weak", "wet", "white", "wide", "wild", "wise", "young",
    ];

    private static readonly string[] Nouns =
    [
        "apple", "arm", "bag", "ball", "bank", "bear", "bed", "bell", "bird", "boat", "bone", "book", "box", "boy", "bread", "brick",
        "bus", "cake", "car", "card", "cat", "chair", "clock", "cloud", "coat", "coin", "cow", "cup", "desk", "dog", "door", "dress",
        "drum", "duck", "ear", "egg", "eye", "farm", "fish", "flag", "foot", "fork", "fox", "frog", "game", "gate", "girl", "goat",
        "gold", "hand", "hat", "hill", "horse", "house", "ice", "jar", "key", "king", "kite", "knee", "lake", "lamp", "leaf", "lion",
        "map", "milk", "moon", "mouse", "nest", "nose", "nut", "oven", "owl", "page", "pan", "park", "pen", "pig", "pipe", "plate",
        "pond", "queen", "rain", "ring", "road", "rock", "roof", "room", "root", "rope", "rose", "salt", "sand", "sea", "seed", "ship",
        "shoe", "shop", "sky", "snow", "soap", "song", "soup", "star", "stone", "street", "sugar", "sun", "table", "tail", "tent",
        "tiger", "toe", "town", "toy", "train", "tree", "truck", "wall", "watch", "water", "wheel", "wind", "window", "wolf", "wood",
        "wool", "yard", "zebra",
    ];

    /// <summary>Numbers of keys between lines of noise, or among other such sentences.</summary>
    public static RulerText Needles(
        SplitMix64 random, int size, int keys = 1, int values = 1, int queries = 1, bool needlesOnly = false)
    {
        string[] names = Words(random, keys + (needlesOnly ? size : 0), pairs: true);
        string[][] numbers = [.. names.Select(_ => Enumerable.Range(0, values).Select(_ => Digits(random, 7)).ToArray())];
        string[] needles = Shuffled(
            [.. names.Take(keys).SelectMany((name, key) => numbers[key].Select(number => Needle(name, number)))], random);
        List<string> lines = [.. needlesOnly
            ? Enumerable.Range(keys, size).Select(other => Needle(names[other], numbers[other][0]))
            : Enumerable.Repeat(Noise, size)];
        foreach (string needle in needles) lines.Insert(Below(random, lines.Count + 1), needle);
        int[] asked = [.. Shuffled([.. Enumerable.Range(0, keys)], random).Take(queries)];
        string query = asked.Length == 1 ? names[asked[0]]
            : $"{string.Join(", ", asked[..^1].Select(key => names[key]))}, and {names[asked[^1]]}";
        string text = string.Join('\n', lines);
        string[] outputs = [.. asked.SelectMany(key => numbers[key])];
        return queries * values == 1
            ? new($"A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about the " +
                $"number afterwards.\n{text}\nWhat is the special magic number for {query} mentioned in the provided text?",
                $" The special magic number for {query} mentioned in the provided text is", outputs)
            : new($"Some special magic numbers are hidden within the following text. Make sure to memorize it. I will quiz you about the " +
                $"numbers afterwards.\n{text}\nWhat are all the special magic numbers for {query} mentioned in the provided text?",
                $" The special magic numbers for {query} mentioned in the provided text are", outputs);
    }

    /// <summary>Variables that are assigned one to another, in their order; one solved example comes before.</summary>
    public static RulerText Variables(SplitMix64 random, int size)
    {
        RulerText example = Chain(random, 1, letters: 3), asked = Chain(random, size, letters: 5);
        return asked with { Input = $"{example.Input}{example.Prefix}{string.Join(' ', example.Outputs)}\n\n{asked.Input}" };
    }

    /// <summary>A numbered list in which ten words are more common than the rest, ten or more; one solved example comes before. The paper
    /// repeats 30 and 3 times, in short texts 6 and once.</summary>
    public static RulerText CommonWords(SplitMix64 random, int size, int common, int rare, bool showsExample = true)
    {
        RulerText asked = WordList(random, 2 * Common + size, common, rare);
        if (!showsExample) return asked;
        RulerText example = rare == 1 ? WordList(random, 20, 3, 1) : WordList(random, 40, 10, 3);
        string answer = string.Join(' ', example.Outputs.Select((word, index) => $"{index + 1}. {word}"));
        return asked with { Input = $"{example.Input}{example.Prefix} {answer}\n{asked.Input}" };
    }

    /// <summary>Made-up words, the k-th most frequent in proportion to k⁻² (a zeta distribution); dots stand for the first.</summary>
    public static RulerText FrequentWords(SplitMix64 random, int size, int length)
    {
        const double zeta = Math.PI * Math.PI / 6;
        HashSet<string> made = [];
        while (made.Count < Math.Max(8, length / 50)) made.Add(Letters(random, WordLetters, 'a'));
        string[] words = [.. made];
        words[0] = "...";
        int count = LeastWords + size;
        string[] text = Shuffled([.. words.SelectMany((word, rank) =>
            Enumerable.Repeat(word, (int)(count / ((rank + 1.0) * (rank + 1.0)) / zeta)))], random);
        return new("Read the following coded text and track the frequency of each coded word. Find the three most frequently appeared " +
            $"coded words. {string.Join(' ', text)}\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What are " +
            "the three most frequently appeared words in the above coded text?",
            " Answer: According to the coded text above, the three most frequently appeared words are:", words[1..4]);
    }

    private static RulerText Chain(SplitMix64 random, int size, int letters)
    {
        HashSet<string> made = [];
        while (made.Count < Hops + 1) made.Add(Letters(random, letters, 'A'));
        string[] names = [.. made];
        string value = Digits(random, 5);
        List<string> lines = [.. Enumerable.Repeat(Noise, size)];
        int[] places = [.. names.Select(_ => Below(random, size + 1)).Order()];
        foreach ((int step, string name) in names.Index())
            lines.Insert(places[step] + step, step == 0 ? $"VAR {name} = {value}" : $"VAR {name} = VAR {names[step - 1]} ");
        return new("Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n" +
            $"{string.Join('\n', lines)}\nQuestion: Find all variables that are assigned the value {value} in the text above.",
            $" Answer: According to the chain(s) of variable assignment in the text above, {Hops + 1} variables are assigned the value " +
            $"{value}, they are: ", names);
    }

    private static RulerText WordList(SplitMix64 random, int words, int common, int rare)
    {
        string[] drawn = Words(random, words, pairs: words > Nouns.Length + Adjectives.Length);
        string[] list = Shuffled([.. drawn.SelectMany((word, index) => Enumerable.Repeat(word, index < Common ? common : rare))], random);
        return new("Below is a numbered list of words. In these words, some appear more often than others. Memorize the ones that appear " +
            $"most often.\n{string.Join(' ', list.Select((word, index) => $"{index + 1}. {word}"))}\nQuestion: What are the 10 most " +
            "common words in the above list?", " Answer: The top 10 words that appear most often in the list are:", drawn[..Common]);
    }

    private static string Needle(string key, string number) => $"One of the special magic numbers for {key} is: {number}.";

    // Different words; pairs such as brave-lamp, with a number where these are too few.
    private static string[] Words(SplitMix64 random, int count, bool pairs)
    {
        if (!pairs) return [.. Shuffled([.. Adjectives, .. Nouns], random).Take(count)];
        HashSet<string> words = [];
        int most = Adjectives.Length * Nouns.Length;
        while (words.Count < count)
            words.Add($"{Adjectives[Below(random, Adjectives.Length)]}-{Nouns[Below(random, Nouns.Length)]}" +
                (words.Count < most / 2 ? "" : Below(random, most).ToString(CultureInfo.InvariantCulture)));
        return [.. words];
    }

    private static string Digits(SplitMix64 random, int count) => string.Concat(Enumerable.Range(0, count)
        .Select(place => (char)('0' + (place == 0 ? 1 + Below(random, 9) : Below(random, 10)))));

    private static string Letters(SplitMix64 random, int count, char first) =>
        string.Concat(Enumerable.Range(0, count).Select(_ => (char)(first + Below(random, 26))));

    private static T[] Shuffled<T>(T[] items, SplitMix64 random)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = Below(random, i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
        return items;
    }

    private static int Below(SplitMix64 random, int count) => (int)(random.NextDouble() * count);
}
