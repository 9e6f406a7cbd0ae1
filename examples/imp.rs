fn main() {
    let a: Vec<String> = std::env::args().collect();
    let p = locutor::models::import::import(
        a[1].parse().unwrap(),
        &[a[2].clone().into()],
        a[3].as_ref(),
    )
    .unwrap();
    println!("{:?}", p.dir());
}
