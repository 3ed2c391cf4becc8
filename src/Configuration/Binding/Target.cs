using System.ComponentModel.DataAnnotations;

namespace Trainer.Configuration.Binding;

/// <summary>What a setting is bound to.</summary>
/// <param name="Type">The type, without <see cref="System.Nullable{T}"/>.</param>
/// <param name="Nullable">Whether null is a value.</param>
/// <param name="Default">What is there when the setting says nothing, and what it is laid over when it says a part.</param>
/// <param name="Rules">The rules a given value must keep.</param>
internal sealed record Target(Type Type, bool Nullable, object? Default, IReadOnlyList<ValidationAttribute> Rules)
{
    public static Target Of(Type type, bool nullable, object? fallback, IReadOnlyList<ValidationAttribute> rules) =>
        System.Nullable.GetUnderlyingType(type) is { } underlying
            ? new Target(underlying, true, fallback, rules)
            : new Target(type, nullable, fallback, rules);

    /// <summary>An item of this list, or a value of this dictionary. Rules about single values hold for each of them.</summary>
    public Target Item(Type type, object? fallback) =>
        Of(type, false, fallback, [.. Rules.Where(rule => !Binding.Rules.IsAboutCount(rule))]);

    /// <summary>What is expected here, in words.</summary>
    public string Expected =>
        Type == typeof(string) ? "text"
        : Type == typeof(bool) ? "true or false"
        : Type == typeof(int) || Type == typeof(long) ? "a whole number"
        : Type == typeof(double) || Type == typeof(float) ? "a number"
        : Type.IsEnum ? $"one of {string.Join(", ", Shape.EnumValues(Type).Select(value => value.Name))}"
        : Shape.ItemType(Type) is not null ? "a list"
        : "an object";
}
