//! Runs the clients and prints what they took, as lines of a name and a number of bytes.

use core::future::Future;
use core::panic::PanicInfo;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cortex_m::register::msp;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;
use heapless::Vec;
use mender::client::{Client, Config, Resources};
use mender::storage::{FlashRange, FlashStorage};

use crate::board::{Board, RECORDS_LEN, Records};
use crate::modules::{Plain, Rebooting};
use crate::numbers::Numbers;
use crate::server::Server;
use crate::stack::Stack;

/// The deepest stack by what the server answered or a module did last.
type Depths = Vec<(&'static str, u32), 16>;

#[cortex_m_rt::entry]
fn main() -> ! {
    let board = Board::new();
    let server = Server::new(&board);
    let mut resources = Resources::new();
    let resources_len = size_of_val(&resources);
    let mut depths = Depths::new();
    let mut starts = 0;
    loop {
        starts += 1;
        // Up to the answer to the login.
        board.doing.set("start, keys and signing");
        let range = const { FlashRange::new(0..RECORDS_LEN as u32) };
        let Ok(storage) = FlashStorage::new(Records(&board), range) else {
            panic!("no storage")
        };
        let storage_len = size_of_val(&storage);
        let config = Config::new("http://mender.example", "nrf52840dk");
        let modules = (Plain { board: &board }, Rebooting { board: &board });
        let numbers = Numbers::new();
        let made = Client::new(
            config,
            &board,
            &server,
            storage,
            &board,
            numbers,
            modules,
            &mut resources,
        );
        let Ok(mut client) = made else {
            panic!("the configuration is wrong")
        };
        let client_len = size_of_val(&client);
        let future = pin!(client.run_with(&board.handle));
        let future_len = size_of_val(&*future);
        // The client and its future lie in this function's frame, as they would in a `static`: what is below is stack.
        if !is_restarted(future, &board, &mut depths) {
            assert!(board.finished.get() == 2, "not all deployments were played");
            hprintln!("starts {}", starts);
            hprintln!("Resources {}", resources_len);
            hprintln!("client {}", client_len);
            hprintln!("storage {}", storage_len);
            hprintln!("future {}", future_len);
            for (doing, depth) in &depths {
                hprintln!("stack: {} {}", doing, depth);
            }
            break;
        }
    }
    exit(EXIT_SUCCESS);
    stop()
}

/// Runs the client: an executor. Not inlined, so that the stack of the future is not in the caller's frame.
#[inline(never)]
fn is_restarted(mut future: Pin<&mut dyn Future<Output = impl Sized>>, board: &Board, depths: &mut Depths) -> bool {
    let stack = Stack::below(msp::read());
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let polled = future.as_mut().poll(&mut context);
        let (doing, depth) = (board.doing.get(), stack.deepest());
        match depths.iter_mut().find(|(name, _)| *name == doing) {
            Some((_, deepest)) => *deepest = depth.max(*deepest),
            None => assert!(depths.push((doing, depth)).is_ok(), "too many names"),
        }
        match polled {
            Poll::Ready(_) => return false,
            Poll::Pending if board.restarting.take() => return true,
            Poll::Pending => {}
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(EXIT_FAILURE);
    stop()
}

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
